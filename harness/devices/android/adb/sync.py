"""Files over adb's sync service: version 2 with 64-bit sizes, or version 1 on phones that have nothing newer.

The protocol is defined in AOSP's ``file_sync_protocol.h``. A phone may refuse a file in the middle of a transfer. Its
reason is read and reported, because "no space" and "no permission" call for different actions.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.devices.android.adb.link import Link
from harness.devices.android.advice import named, phone_error
from harness.errors import PhoneError, PhoneTrouble

# The maximum that the protocol allows in one DATA record.
CHUNK_BYTES = 65_536
# Records are sent in batches: one system call per megabyte instead of sixteen.
_BATCH = 16
_READ_BYTES = 1 << 20
# Buffers per writev call, well below the usual IOV_MAX of 1024; only tiny records reach it.
_PIECES = 256
_HEAD = struct.Struct("<4sI")
_MODE = stat.S_IFREG | 0o644
_NO_SPACE = ("no space left on device", "disk quota exceeded", "enospc")
_ENOENT = 2


def send_file(link: Link, source: Path, remote: str, *, v2: bool) -> None:
    """Send ``source`` as ``remote``. Raises `PhoneError` with the phone's reason; ``full`` if it has no space."""
    if v2:
        # Version 2 repeats the id with the mode and the flags; 0 means no compression.
        _request(link, b"SND2", remote)
        link.send(struct.pack("<4sII", b"SND2", _MODE, 0))
    else:
        _request(link, b"SEND", f"{remote},{_MODE}")
    try:
        _send_content(link, source)
        # DONE carries the modification time instead of a length.
        link.send(struct.pack("<4sI", b"DONE", int(source.stat().st_mtime) & 0xFFFF_FFFF))
    except PhoneError as error:
        # A phone that refuses may close the connection at once. The reason it sent before that explains more.
        if error.trouble is not PhoneTrouble.GONE or not link.has_answer():
            raise
    _read_status(link, remote)


def receive_file(link: Link, remote: str, target: Path, *, v2: bool) -> int:
    """Write the phone's ``remote`` into ``target`` and return its size in bytes. Raises `PhoneError`."""
    _request(link, b"RCV2" if v2 else b"RECV", remote)
    if v2:
        link.send(struct.pack("<4sI", b"RCV2", 0))
    # Truncating an existing file makes ext4 flush the new content to disk on close, which takes long.
    if target.is_file():
        target.unlink()
    with target.open("wb", buffering=0) as file:
        return sum(_write(file.fileno(), pieces) for pieces in _content(link, remote))


def _content(link: Link, remote: str) -> Iterator[list[memoryview]]:
    """Yield the content of DATA records up to DONE: the pieces of one read, valid until the next."""
    buffer = memoryview(bytearray(_READ_BYTES))
    end = left = 0
    while True:
        end += link.receive_some(buffer[end:])
        start = 0
        pieces: list[memoryview] = []
        while left and start < end or not left and end - start >= _HEAD.size:
            if not left:
                kind, left = _HEAD.unpack_from(buffer, start)
                start += _HEAD.size
                if kind == b"DONE":
                    yield pieces
                    return
                if kind != b"DATA" or left > CHUNK_BYTES:
                    raise _failed(link, kind, left, remote, ahead=bytes(buffer[start:end]))
            pieces.append(buffer[start : min(end, start + left)])
            start, left = start + len(pieces[-1]), left - len(pieces[-1])
        yield pieces
        # What is left is shorter than a record's head; it moves to the front for the next read.
        rest = bytes(buffer[start:end])
        buffer[: len(rest)], end = rest, len(rest)


def _write(file: int, pieces: list[memoryview]) -> int:
    """Write all pieces in few calls and return their size in bytes. Raises `OSError`."""
    for first in range(0, len(pieces), _PIECES):
        batch = pieces[first : first + _PIECES]
        written = os.writev(file, batch)
        # A disk that is nearly full accepts a part; the next call then raises the error.
        while written < sum(map(len, batch)):
            written += os.write(file, b"".join(batch)[written:])
    return sum(map(len, pieces))


def file_size(link: Link, remote: str, *, v2: bool) -> int | None:
    """Return the size of ``remote`` in bytes, None if it does not exist. Version 1 reports it modulo 2**32."""
    _request(link, b"STA2" if v2 else b"STAT", remote)
    if not v2:
        # Version 1 has no error field: a file that does not exist has mode 0.
        mode, size, _ = struct.unpack("<4x3I", link.receive(16))
        return size if mode else None
    # id, error, dev, ino, mode, nlink, uid, gid, size, atime, mtime, ctime
    answer = struct.unpack("<4sIQQIIIIQqqq", link.receive(72))
    error, size = answer[1], answer[8]
    if error == _ENOENT:
        return None
    if error:
        what = f"{named(link.serial)} cannot stat {remote!r} (errno {error})"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=link.serial, command=link.purpose)
    return int(size)


def says_full(text: str) -> bool:
    """Return whether a message of the phone says that it has no space."""
    return any(word in text.lower() for word in _NO_SPACE)


def _send_content(link: Link, source: Path) -> None:
    """Send the content in DATA records, and stop as soon as the phone refuses."""
    step = CHUNK_BYTES + 8
    buffer = bytearray(step * _BATCH)
    view = memoryview(buffer)
    with source.open("rb", buffering=0) as file:
        while True:
            filled = 0
            for index in range(_BATCH):
                start = index * step
                count = file.readinto(view[start + 8 : start + step])
                if not count:
                    break
                struct.pack_into("<4sI", buffer, start, b"DATA", count)
                filled = start + 8 + count
                # A short record ends the batch: the next one would leave a gap behind it in the buffer.
                if count < CHUNK_BYTES:
                    break
            if not filled:
                return
            # The caller reads the answer, which says why it refused.
            if link.has_answer():
                return
            link.send(view[:filled])


def _request(link: Link, kind: bytes, argument: str) -> None:
    data = argument.encode()
    link.send(struct.pack("<4sI", kind, len(data)) + data)


def _read_status(link: Link, remote: str) -> None:
    kind, length = struct.unpack("<4sI", link.receive(8))
    if kind != b"OKAY":
        raise _failed(link, kind, length, remote)


def _failed(link: Link, kind: bytes, length: int, remote: str, *, ahead: bytes = b"") -> PhoneError:
    """Return the error for a FAIL record; ``ahead`` is the part of its reason that has been read already."""
    if kind != b"FAIL" or length > CHUNK_BYTES:
        what = f"{named(link.serial)} answered {kind!r} while transferring {remote!r} (protocol fault)"
        return phone_error(PhoneTrouble.REFUSED, what, serial=link.serial, command=link.purpose)
    data = ahead[:length] + link.receive(max(0, length - len(ahead)))
    reason = data.decode("utf-8", errors="replace")
    trouble = PhoneTrouble.FULL if says_full(reason) else PhoneTrouble.REFUSED
    what = f"{named(link.serial)} refused the transfer of {remote!r}: {reason}"
    return phone_error(trouble, what, serial=link.serial, command=link.purpose, output=reason)
