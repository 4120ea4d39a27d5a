"""Writes and reads APKs, which are zip files. The same entries always give the same bytes.

Android maps native libraries directly from the APK. So they are stored uncompressed, at multiples of the page size of
16 KB.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 16_384
_WORD_BYTES = 4
# The extra field that Android's zipalign uses for padding: id, length, alignment, zeros.
_PADDING_ID = 0xD935
_PADDING_HEAD = 6
_LOCAL_HEADER = 30
# A fixed time keeps builds reproducible. This is the earliest that zip can store and every tool accepts.
_TIME = (1981, 1, 1, 1, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of an APK."""

    name: str
    data: bytes

    @property
    def alignment(self) -> int:
        """The alignment of the entry's data in bytes; 0 for a compressed entry."""
        if self.name.endswith(".so"):
            return PAGE_BYTES
        # Model files hardly compress, and compressing them takes minutes.
        return _WORD_BYTES if self.name.endswith(".arsc") or self.name.startswith("assets/") else 0


def write_archive(path: Path, entries: Iterable[Entry]) -> None:
    """Write ``entries`` to ``path`` in the given order. Raises `OSError`."""
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, _TIME)
            info.compress_type = zipfile.ZIP_STORED if entry.alignment else zipfile.ZIP_DEFLATED
            # Python would write the number of the system it runs on.
            info.create_system = 0
            if entry.alignment:
                info.extra = _padding(file.tell() + _LOCAL_HEADER + len(entry.name.encode()), entry.alignment)
            archive.writestr(info, entry.data, compresslevel=9)


def data_offset(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Return the offset of an entry's data in the file.

    The length of the extra field must be read from the local header: it may differ from that in the central directory.
    """
    file = archive.fp
    if file is None:
        msg = "the archive is closed"
        raise ValueError(msg)
    file.seek(info.header_offset)
    name_bytes, extra_bytes = struct.unpack_from("<HH", file.read(_LOCAL_HEADER), 26)
    return info.header_offset + _LOCAL_HEADER + int(name_bytes) + int(extra_bytes)


def _padding(at: int, alignment: int) -> bytes:
    """Return an extra field that begins at offset ``at`` and ends at a multiple of ``alignment``."""
    zeros = -(at + _PADDING_HEAD) % alignment
    return struct.pack("<HHH", _PADDING_ID, 2 + zeros, alignment) + bytes(zeros)
