"""The source key changes with everything that affects the network or its data, and with nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.store.records import MEASUREMENTS_FILE, RUN_FILE
from harness.store.writer import new_run_id
from tests.conftest import call_python
from tests.model.folders import CARD, NETWORK, make_folder

ROOT = Path(__file__).parents[2]


def key(reference: Path | str, **options: Any) -> str:
    """The key of ``reference``."""
    return source_key(resolve(str(reference), ModelOptions(**options)))


def test_key_is_the_same_in_another_place_and_after_a_touch(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "one")
    first = key(folder)
    shutil.copytree(folder, tmp_path / "two")
    (folder / "network.py").touch()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "network.pyc").write_bytes(b"1")
    (folder / ".hidden").write_text("1", encoding="utf-8")
    assert len(first) == 64
    assert key(folder) == key(tmp_path / "two") == first


@pytest.mark.parametrize("name", ["network.py", "model.toml", "deep/weights.bin"])
def test_key_follows_every_file_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path)
    (folder / "deep").mkdir()
    before = key(folder)
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert key(folder) != before


def test_key_ignores_results_that_are_kept_in_the_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    before = key(folder)
    run = folder / "results" / new_run_id(datetime.now(UTC))
    (run / "replies").mkdir(parents=True)
    for file in (run / RUN_FILE, run / MEASUREMENTS_FILE, run / "replies" / "1.json", run.with_name("probes.json")):
        file.write_text("{}", encoding="utf-8")
    assert key(folder) == before
    (folder / "results.npz").write_bytes(b"1")
    assert key(folder) != before


@pytest.mark.parametrize("options", [{"seed": 1}, {"random_weights": True}, {"inputs": ("x:float32:2x4",)}])
def test_key_follows_the_options(tmp_path: Path, options: dict[str, Any]) -> None:
    folder = make_folder(tmp_path)
    assert key(folder, **options) != key(folder)


def test_key_follows_the_data_wherever_it_is(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    keys = [key(folder)]
    for value in (0, 1):
        np.savez(tmp_path / "data.npz", inputs=np.full((2, 1, 4), value, np.float32))
        keys.append(key(folder, data=str(tmp_path / "data.npz")))
    shutil.move(tmp_path / "data.npz", tmp_path / "moved.npz")
    assert key(folder, data=str(tmp_path / "moved.npz")) == keys[2]
    assert len(set(keys)) == 3


def test_key_follows_the_images_of_a_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    image = tmp_path / "images" / "a" / "1.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"1")
    before = key(folder, data=str(tmp_path / "images"))
    image.write_bytes(b"2")
    assert key(folder, data=str(tmp_path / "images")) != before


def test_key_follows_a_single_file_and_not_its_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"1")
    before = key(file)
    (tmp_path / "other.txt").write_text("1", encoding="utf-8")
    assert key(file) == before
    file.write_bytes(b"2")
    assert key(file) != before


def test_key_of_a_factory_follows_what_its_module_imports(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    network = "from mine.parts import layers\nfrom . import sizes\ndef build(): ...\n"
    make_folder(package, network=network, sizes="import json\n")
    make_folder(package / "parts", layers="import numpy\n", unused="")
    for init in (package, package / "parts"):
        init.joinpath("__init__.py").touch()
    factory = "mine.network:build"
    with contextlib.chdir(tmp_path):
        keys = [key(factory), *_keys_after_changes(package, factory)]
    assert len(set(keys[:5])) == 5
    assert keys[5] == keys[4]


def _keys_after_changes(package: Path, factory: str) -> Iterator[str]:
    """The key after a change to each of five files; nothing imports the last one."""
    for changed in ("sizes.py", "parts/layers.py", "parts/__init__.py", "network.py", "parts/unused.py"):
        with (package / changed).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        yield key(factory)


def test_key_does_not_need_python_that_parses(tmp_path: Path) -> None:
    network = f"import layers\n{NETWORK}"
    broken = key(make_folder(tmp_path, network=network, layers="def conv(:\n"))
    assert broken != key(make_folder(tmp_path, network=network, layers="def conv(): ...\n"))


def test_key_tells_installed_packages_apart(tmp_path: Path) -> None:
    one = key(make_folder(tmp_path / "one", card=CARD.replace("network:build", "torchvision.models:resnet18")))
    two = key(make_folder(tmp_path / "two", card=CARD.replace("network:build", "torchvision.models:resnet34")))
    assert one != two


@pytest.mark.parametrize("distribution", ["some_layers", "Some-Other_Name"])
def test_key_tells_versions_of_a_package_apart_whatever_its_distribution_is_called(
    tmp_path: Path, distribution: str
) -> None:
    site = tmp_path / "site-packages"
    (site / "some_layers").mkdir(parents=True)
    (site / "some_layers" / "__init__.py").write_text("")
    folder = make_folder(tmp_path / "model", network=f"import some_layers\n{NETWORK}")
    code = "import sys; from tests.model.test_model_key import key; print(key(sys.argv[1]))"
    keys = set()
    for version in ("1.0", "1.1", "1.0"):
        info = site / f"{distribution.replace('-', '_')}-1.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "RECORD").write_text("some_layers/__init__.py,,\n")
        places = os.pathsep.join([str(site), str(ROOT)])
        done = call_python("-c", code, str(folder), cwd=tmp_path, env={"PYTHONPATH": places})
        assert done.code == 0, done.err
        keys.add(done.out)
    assert len(keys) == 2
