"""The APK writer aligns native libraries to pages, and the same entries give the same bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from harness.runners.android.archive import PAGE_BYTES, Entry, data_offset, write_archive

ENTRIES = (
    Entry(name="AndroidManifest.xml", data=b"m" * 1234),
    Entry(name="resources.arsc", data=b"r" * 77),
    Entry(name="lib/arm64-v8a/liba.so", data=b"a" * 50_001),
    Entry(name="lib/arm64-v8a/libb.so", data=b"b" * 3),
)


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    write_archive(tmp_path / "a.apk", ENTRIES)
    return tmp_path / "a.apk"


def test_what_is_written_is_read_back(apk: Path) -> None:
    with zipfile.ZipFile(apk) as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == [(e.name, e.data) for e in ENTRIES]


@pytest.mark.parametrize(
    ("name", "alignment"), [("lib/arm64-v8a/liba.so", PAGE_BYTES), ("lib/arm64-v8a/libb.so", PAGE_BYTES)]
)
def test_a_native_library_is_stored_on_a_page(apk: Path, name: str, alignment: int) -> None:
    with zipfile.ZipFile(apk) as archive:
        info = archive.getinfo(name)
        offset = data_offset(archive, info)
    assert info.compress_type == zipfile.ZIP_STORED
    assert offset % alignment == 0
    assert apk.read_bytes()[offset : offset + 1] == name[-4:-3].encode()


def test_resources_are_stored_on_a_word_and_the_rest_is_packed(apk: Path) -> None:
    with zipfile.ZipFile(apk) as archive:
        assert data_offset(archive, archive.getinfo("resources.arsc")) % 4 == 0
        assert archive.getinfo("AndroidManifest.xml").compress_size < 100


def test_the_same_entries_make_the_same_bytes(apk: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "b.apk", ENTRIES)
    assert (tmp_path / "b.apk").read_bytes() == apk.read_bytes()
