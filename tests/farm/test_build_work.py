"""A model on its way to a build host: whatever kind it is, it is the same model there."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.build import BuildOrder
from harness.artifacts.cache import Cache
from harness.errors import SignatureError, StoreError
from harness.farm.builds.calls import EntryKind, EntryRef
from harness.farm.builds.maker import remove_old_entries
from harness.farm.builds.versions import differences, host_versions, needed_versions
from harness.farm.builds.work import (
    MODULES,
    ModelSource,
    decode,
    encode,
    keep_entry,
    pack_source,
    place_files,
    require_signed_source,
    unpack_source,
)
from harness.farm.work import FileRef
from harness.model.card import ModelCard, ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.spec.recipe import Recipe
from harness.wire import Format
from tests.artifacts.builders import onnx_file

ROOT = Path(__file__).parents[2]
CARD = '[model]\nname = "{name}"\nsource = "{source}"\n[[input]]\nname = "x"\ndtype = "float32"\nshape = [1, 2]\n'


def folder_model(folder: Path) -> ModelCard:
    """A folder whose Python imports a module of a package beside it, with data outside."""
    (folder / "net" / "deep").mkdir(parents=True)
    (folder / "net" / "model.toml").write_text(CARD.format(name="net", source="network:build"))
    (folder / "net" / "network.py").write_text("from deep.layers import layer\n\ndef build(): return layer()\n")
    (folder / "net" / "deep" / "__init__.py").write_text("")
    (folder / "net" / "deep" / "layers.py").write_text("def layer(): return 1\n")
    np.savez(folder / "shots.npz", inputs=np.zeros((3, 1, 2), np.float32))
    return resolve(str(folder / "net"), ModelOptions(data=str(folder / "shots.npz")))


def ready_model(folder: Path) -> ModelCard:
    """A file by itself, with a folder of pictures as data."""
    (folder / "shots" / "cat").mkdir(parents=True)
    (folder / "shots" / "cat" / "one.png").write_bytes(b"a picture")
    file = onnx_file(folder / "add.onnx", "Add", np.zeros(2, np.float32))
    return resolve(str(file), ModelOptions(data=str(folder / "shots")))


def factory_model(folder: Path) -> ModelCard:
    """A factory in the working folder, which imports its neighbour."""
    (folder / "zoo").mkdir()
    (folder / "zoo" / "__init__.py").write_text("from zoo.parts import part\n")
    (folder / "zoo" / "parts.py").write_text("def part(): return 1\n")
    return resolve("zoo:part", ModelOptions(inputs=("x:float32:1x2",)))


def composed_model(folder: Path) -> ModelCard:
    """Two networks in one folder, of which the second runs by itself."""
    parts = '[[part]]\nname = "{0}"\nsource = "network:{0}"\nafter = "{1}"\n'
    text = CARD.format(name="pair", source="").replace('source = ""\n', "")
    (folder / "model.toml").write_text(text + parts.format("first", "x") + parts.format("second", "first"))
    (folder / "network.py").write_text("def first(): return 1\n\ndef second(): return 2\n")
    return resolve(f"{folder}#second", ModelOptions())


def language_model(folder: Path) -> ModelCard:
    """A folder in the layout of Hugging Face, with another text."""
    folder.joinpath("llama").mkdir()
    for name, text in (("config.json", '{"architectures": ["LlamaForCausalLM"]}'), ("tokenizer.json", "{}")):
        (folder / "llama" / name).write_text(text)
    (folder / "llama" / "model.safetensors").write_bytes(b"weights")
    (folder / "story.txt").write_text("Once upon a time")
    return resolve(str(folder / "llama"), ModelOptions(data=str(folder / "story.txt")))


def exported_model(folder: Path) -> ModelCard:
    """A network in a file, with weights that a folder's card names beside it."""
    (folder / "model.toml").write_text(CARD.format(name="exported", source="net.pt2"))
    with zipfile.ZipFile(folder / "net.pt2", "w") as archive:
        archive.writestr("a graph", "of no network")
    return resolve(str(folder), ModelOptions())


def digits_model(folder: Path) -> ModelCard:
    return resolve(str(shutil.copytree(ROOT / "models" / "digits", folder / "digits")), ModelOptions(seed=3))


MODELS = [
    digits_model, folder_model, ready_model, factory_model, composed_model, language_model, exported_model
]  # fmt: skip


@pytest.mark.parametrize("make", MODELS)
def test_a_model_is_the_same_on_a_build_host(make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    with working_in(here, monkeypatch):
        card: ModelCard = make(here)  # type: ignore[operator]
        key, packed = source_key(card), pack_source(card)
    data = encode(packed.source)
    assert str(tmp_path).encode() not in data, "a path of the owner's computer travels"
    source = decode(data, ModelSource)
    place_files(source.files, packed.places.__getitem__, there)
    shutil.rmtree(here)
    (there / MODULES).mkdir(exist_ok=True)
    with working_in(there / MODULES, monkeypatch):
        theirs = unpack_source(source, there)
        assert source_key(theirs) == source.key == key
    assert replace(theirs, source="", folder=None, data=None, language=None, parts=(), whole=None) == replace(
        card, source="", folder=None, data=None, language=None, parts=(), whole=None
    )


@contextmanager
def working_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.mark.parametrize("name", ["../../home", "/etc/passwd", "a/../../b", ""])
def test_a_file_cannot_be_put_outside_of_the_models_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="is not below its folder"):
        place_files((FileRef(name=name, sha256="0"),), lambda _: tmp_path / "any", tmp_path / "room")


@pytest.mark.parametrize("place", ["../files/evil.pt2", "/tmp/evil.pt2", "folder/../../evil.pt2"])
def test_a_card_that_names_a_file_outside_of_the_models_folder_is_refused(tmp_path: Path, place: str) -> None:
    packed = pack_source(ready_model(tmp_path))
    hostile = replace(packed.source, card=replace(packed.source.card, source=place))
    with pytest.raises(StoreError, match="is not below its folder"):
        unpack_source(hostile, tmp_path / "room")


def test_an_entry_whose_key_is_a_path_is_not_kept(tmp_path: Path) -> None:
    entry = EntryRef(kind=EntryKind.PREPARED, key="../../outside", files=())
    with pytest.raises(StoreError, match="not a plain name"):
        keep_entry(Cache(tmp_path / "cache"), entry, lambda _: tmp_path / "any")
    assert not (tmp_path / "outside").exists()


def test_the_cache_of_a_build_host_loses_what_nobody_has_used_for_long(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key in ("old", "new"):
        with cache.making("artifacts", key) as folder:
            (folder / "model.onnx").write_bytes(b"a file")
    os.utime(cache.folder("artifacts", "old"), (0, 0))
    remove_old_entries(cache)
    assert not cache.folder("artifacts", "old").exists()
    assert (cache.folder("artifacts", "new") / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("make", "signed", "hostile"),
    [(folder_model, ("net", "shots.npz"), "network.py"), (ready_model, ("add.onnx", "shots"), "add.onnx")],
)
def test_a_host_with_a_key_builds_only_what_was_signed(
    make: Callable[[Path], ModelCard], signed: tuple[str, ...], hostile: str, tmp_path: Path
) -> None:
    pytest.importorskip("model_signing")
    from harness.signing.bundle import sign
    from harness.signing.keys import create_key

    keys, here = create_key(tmp_path / "key", days=30), tmp_path / "here"
    here.mkdir()
    card = make(here)
    with pytest.raises(SignatureError, match="has no signature"):
        require_signed_source(placed(card, tmp_path / "bare"), keys.public)
    for name in signed:
        sign(here / name, keys.private)
    room = placed(card, tmp_path / "room")
    require_signed_source(room, keys.public)
    (room / "loose.pt2").write_bytes(b"beside the folders")
    with pytest.raises(SignatureError, match="loose"):
        require_signed_source(room, keys.public)
    (room / "loose.pt2").unlink()
    next(room.rglob(hostile)).write_bytes(b"something else")
    with pytest.raises(SignatureError, match=hostile):
        require_signed_source(room, keys.public)


def test_a_host_with_a_key_builds_no_code_that_lies_in_no_model_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    with working_in(tmp_path / "here", monkeypatch):
        room = placed(factory_model(tmp_path / "here"), tmp_path / "room")
    with pytest.raises(SignatureError, match="outside of a model folder"):
        require_signed_source(room, tmp_path / "key.pub")


def placed(card: ModelCard, room: Path) -> Path:
    packed = pack_source(card)
    place_files(packed.source.files, packed.places.__getitem__, room)
    return room


def test_the_versions_that_count_are_those_of_what_takes_part() -> None:
    card = resolve("digits", ModelOptions())
    build = Build(model="digits", variant="fp32", format=Format.ONNX, backend=None)
    needs = needed_versions(BuildOrder(cards=[card], builds=[build], recipes={"fp32": Recipe(name="fp32")}), [build])
    assert {"torch", "onnx", "python", "system"} <= needs.keys()
    assert "executorch" not in needs
    assert differences(host_versions(), needs) == ""
    others = {name: version for name, version in host_versions().items() if name != "onnx"} | {"torch": "1.0"}
    assert differences(others, {"torch": "2.9", "onnx": "1.20"}) in (
        "torch 1.0 there and 2.9 here, onnx none there and 1.20 here"
    )
