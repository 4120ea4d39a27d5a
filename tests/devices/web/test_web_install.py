"""The runtimes' files: taken from archives, each checked, and the checkup of a browser."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from harness.devices.web.checkup import check_browser_of
from harness.devices.web.install import install_libraries
from harness.errors import BuildError, UnknownNameError
from harness.runners.web.libraries import LIBRARIES, WebLibrary, checked, is_complete
from harness.wire import Format


def archive(library: WebLibrary, store: Path, folder: Path, *, damaged: str = "") -> None:
    """Pack the files of a library as npm does, one of them damaged if it is named."""
    for package in library.packages:
        with tarfile.open(folder / package.archive, "w:gz", compresslevel=1) as packed:
            for file in package.files:
                data = b"damaged" if file.name == damaged else (store / library.folder / file.name).read_bytes()
                entry = tarfile.TarInfo(f"package/{file.member}")
                entry.size = len(data)
                packed.addfile(entry, io.BytesIO(data))


def test_archives_that_the_user_has_are_taken(store: Path, tmp_path: Path) -> None:
    given, own = tmp_path / "given", tmp_path / "own"
    given.mkdir()
    library = LIBRARIES[Format.TFLITE]
    archive(library, store, given)
    (done,) = install_libraries(("tflite",), given, store=own)
    assert (done.runtime, done.version, done.error) == ("tflite", "LiteRT.js 2.5.3", "")
    assert is_complete(library, own)
    assert not is_complete(LIBRARIES[Format.ONNX], own)


def test_an_archive_with_another_file_than_the_pinned_is_refused(store: Path, tmp_path: Path) -> None:
    given, own = tmp_path / "given", tmp_path / "own"
    given.mkdir()
    archive(LIBRARIES[Format.TFLITE], store, given, damaged="wasm_utils.js")
    (done,) = install_libraries(("tflite",), given, store=own)
    assert "another 'dist/index.js' than the pinned one" in done.error
    assert not is_complete(LIBRARIES[Format.TFLITE], own)


def test_what_is_missing_is_named_by_its_archive(tmp_path: Path) -> None:
    by_name = {done.runtime: done.error for done in install_libraries((), tmp_path, store=tmp_path / "own")}
    assert "onnxruntime-web-1.30.0.tgz" in by_name["onnxruntime"]
    assert "litertjs-core-2.5.3.tgz" in by_name["tflite"]
    with pytest.raises(UnknownNameError, match="onnxruntime, tflite"):
        install_libraries(("executorch",), None, store=tmp_path)


def test_a_file_that_has_changed_on_the_disk_is_not_served(tmp_path: Path) -> None:
    library = LIBRARIES[Format.TFLITE]
    (tmp_path / library.folder).mkdir()
    (tmp_path / library.folder / "index.js").write_text("changed")
    with pytest.raises(BuildError, match="is not the pinned file of LiteRT.js; run: phonebench runner install web"):
        checked(library, library.files[0], tmp_path)


def test_a_checkup_says_what_the_browser_offers(store: Path, chromium: Path) -> None:
    found = check_browser_of(f"web:{chromium}", store=store)
    assert found.ok
    steps = {step.name: step.detail for step in found.steps}
    assert list(steps) == ["runtimes", "browser", "page", "clock", "webnn", "webgpu"]
    assert steps["clock"] == "steps of 5 µs"
    assert "swiftshader" in steps["webgpu"]
    assert "no runtime here uses it" in steps["webnn"]


def test_a_checkup_without_a_browser_says_what_to_install(store: Path, tmp_path: Path) -> None:
    found = check_browser_of(f"web:{tmp_path}/nothing", store=store)
    assert not found.ok
    assert "does not exist" in found.steps[-1].detail
