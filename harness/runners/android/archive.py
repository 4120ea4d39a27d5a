"""Writes and reads APKs, which are zip files: same entries, same bytes; native libraries on pages of 16 KB.

A library that the system maps straight out of the APK must lie in it unpacked, at a multiple of the page size.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 16_384
_WORD_BYTES = 4
# The extra field that Android's own tools pad with: its id, its length, the alignment, zeros.
_PADDING_ID = 0xD935
_PADDING_HEAD = 6
_LOCAL_HEADER = 30
# The earliest that zip can say and every tool takes; the real time would make each build another file.
_TIME = (1981, 1, 1, 1, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of an APK."""

    name: str
    data: bytes

    @property
    def alignment(self) -> int:
        """What its bytes begin at a multiple of; 0 for an entry that is packed."""
        if self.name.endswith(".so"):
            return PAGE_BYTES
        return _WORD_BYTES if self.name.endswith(".arsc") else 0


def write_archive(path: Path, entries: Iterable[Entry]) -> None:
    """Write ``entries`` in their order. Raises `OSError`."""
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, _TIME)
            info.compress_type = zipfile.ZIP_STORED if entry.alignment else zipfile.ZIP_DEFLATED
            info.create_system = 0
            if entry.alignment:
                info.extra = _padding(file.tell() + _LOCAL_HEADER + len(entry.name.encode()), entry.alignment)
            archive.writestr(info, entry.data, compresslevel=9)


def data_offset(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Return where in the file the bytes of an entry begin; the local header may differ from the directory's."""
    file = archive.fp
    if file is None:
        msg = "the archive is closed"
        raise ValueError(msg)
    file.seek(info.header_offset)
    name_bytes, extra_bytes = struct.unpack_from("<HH", file.read(_LOCAL_HEADER), 26)
    return info.header_offset + _LOCAL_HEADER + int(name_bytes) + int(extra_bytes)


def _padding(at: int, alignment: int) -> bytes:
    """Return an extra field after which the next byte is at a multiple of ``alignment``."""
    zeros = -(at + _PADDING_HEAD) % alignment
    return struct.pack("<HHH", _PADDING_ID, 2 + zeros, alignment) + bytes(zeros)
