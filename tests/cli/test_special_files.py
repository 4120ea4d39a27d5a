"""Pipes, sockets, devices and files of many gigabytes in the place of a file: refused at once, by name."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.artifacts.sources.prepare_language import read_questions
from harness.errors import PhonebenchError, StoreError, UsageError
from harness.exchange.content import read_content
from harness.farm.certs import read_certificate
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.model.static_names import check_defined
from harness.signing.bundle import read_bundle
from harness.spec.read import read_spec
from harness.store.listing import listed_run
from harness.store.reader import read_folder

CARD = """
[model]
name = "x"
task = "other"
license = "none"
source = "network:net"
[[input]]
name = "x"
dtype = "float32"
shape = [1, 2]
[data]
source = "data.npz"
"""


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def huge(path: Path) -> None:
    """Ten gigabytes that take no space on the disk."""
    with path.open("wb") as file:
        file.truncate(10 << 30)


READERS: list[tuple[str, Callable[[Path], object]]] = [
    ("spec.toml", read_spec),
    ("card/model.toml", lambda path: resolve(str(path.parent), ModelOptions())),
    ("result.json", read_content),
    ("run/run.json", lambda path: read_folder(path.parent)),
    ("run/measurements.jsonl", lambda path: read_folder(path.parent)),
    ("questions.jsonl", read_questions),
    ("network.py", lambda path: check_defined("net", path, "source")),
    ("model.onnx.sig", lambda path: read_bundle(Path("model.onnx"), path)),
    ("host/cert.pem", lambda path: read_certificate(path.parent)),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [pipe, endless, listener, huge, Path.mkdir])
@pytest.mark.parametrize(("name", "read"), READERS, ids=[name for name, _ in READERS])
def test_what_is_no_file_of_a_persons_size_is_refused_by_name(
    name: str, read: Callable[[Path], object], make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(PhonebenchError) as caught:
        read(path)
    assert isinstance(caught.value, UsageError | StoreError) or caught.value.exit_code == 7
    assert Path(name).name in str(caught.value) or Path(name).parent.name in str(caught.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [pipe, endless, huge])
def test_a_run_without_a_readable_head_is_listed_as_damaged(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "run.json")
    assert listed_run(tmp_path).cells == {}


def test_the_data_of_a_model_take_no_memory_to_identify(tmp_path: Path) -> None:
    """Data and weights may be larger than the memory."""
    (tmp_path / "network.py").write_text("def net():\n    pass\n")
    (tmp_path / "model.toml").write_text(CARD)
    with (tmp_path / "data.npz").open("wb") as file:
        file.truncate(300 << 20)
    card = resolve(str(tmp_path), ModelOptions())
    tracemalloc.start()
    try:
        source_key(card)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100 << 20
