"""Files over adb's sync service, in its second version with sizes of 64 bits, or the first where a phone has no other.

Laid down in AOSP's ``file_sync_protocol.h``. A phone says why it refuses a file in the middle of it; that reason is
read and told, because "no space" and "no right" need different actions.
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

# The most that the protocol allows in one DATA record.
CHUNK_BYTES = 65_536
# Several records go to the socket at once: one system call a megabyte instead of sixteen.
_BATCH = 16
_READ_BYTES = 1 << 20
# So many go to the disk at once, well below the 1024 that systems allow; only tiny records make more.
_PIECES = 256
_HEAD = struct.Struct("<4sI")
_MODE = stat.S_IFREG | 0o644
_NO_SPACE = ("no space left on device", "disk quota exceeded", "enospc")
_ENOENT = 2


def send_file(link: Link, source: Path, remote: str, *, v2: bool) -> None:
    """Send ``source`` as ``remote``. Raises `PhoneError` with the phone's reason, ``full`` when it has no space."""
    if v2:
        _request(link, b"SND2", remote)
        link.send(struct.pack("<4sII", b"SND2", _MODE, 0))
    else:
        _request(link, b"SEND", f"{remote},{_MODE}")
    try:
        _send_content(link, source)
        link.send(struct.pack("<4sI", b"DONE", int(source.stat().st_mtime) & 0xFFFF_FFFF))
    except PhoneError as error:
        # A phone that refuses may close at once; what it said before that is worth more than that it closed.
        if error.trouble is not PhoneTrouble.GONE or not link.has_answer():
            raise
    _read_status(link, remote)


def receive_file(link: Link, remote: str, target: Path, *, v2: bool) -> int:
    """Write the phone's ``remote`` into ``target`` and return its bytes. Raises `PhoneError`."""
    _request(link, b"RCV2" if v2 else b"RECV", remote)
    if v2:
        link.send(struct.pack("<4sI", b"RCV2", 0))
    # Cutting an old file to nothing has ext4 send the new content to the disk before it is closed.
    if target.is_file():
        target.unlink()
    with target.open("wb", buffering=0) as file:
        return sum(_write(file.fileno(), pieces) for pieces in _content(link, remote))


def _content(link: Link, remote: str) -> Iterator[list[memoryview]]:
    """Yield the content of DATA records up to DONE: the pieces that one read has brought, good until the next."""
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
        # Less than a head is left over.
        rest = bytes(buffer[start:end])
        buffer[: len(rest)], end = rest, len(rest)


def _write(file: int, pieces: list[memoryview]) -> int:
    """Write all pieces, by few calls, and return their bytes. Raises `OSError`."""
    for first in range(0, len(pieces), _PIECES):
        some = pieces[first : first + _PIECES]
        written = os.writev(file, some)
        # A disk that is nearly full takes a part; the next call raises what is wrong with it.
        while written < sum(map(len, some)):
            written += os.write(file, b"".join(some)[written:])
    return sum(map(len, pieces))


def file_size(link: Link, remote: str, *, v2: bool) -> int | None:
    """Return the bytes of ``remote``, None when there is no such file. The first version counts modulo 2**32."""
    _request(link, b"STA2" if v2 else b"STAT", remote)
    if not v2:
        mode, size, _ = struct.unpack("<4x3I", link.receive(16))
        return size if mode else None
    # id, error, dev, ino, mode, nlink, uid, gid, size, atime, mtime, ctime
    answer = struct.unpack("<4sIQQIIIIQqqq", link.receive(72))
    error, size = answer[1], answer[8]
    if error == _ENOENT:
        return None
    if error:
        what = f"{named(link.serial)} cannot look at {remote!r} (errno {error})"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=link.serial, command=link.purpose)
    return int(size)


def _send_content(link: Link, source: Path) -> None:
    """Send the content in DATA records, looking for a refusal between batches."""
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
                # A short read ends the batch: the records behind it would not follow on each other.
                if count < CHUNK_BYTES:
                    break
            if not filled:
                return
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
    """What the phone said; ``ahead``: what of it was read already."""
    if kind != b"FAIL" or length > CHUNK_BYTES:
        what = f"{named(link.serial)} answered {kind!r} in the middle of {remote!r}: the transfer is out of step"
        return phone_error(PhoneTrouble.REFUSED, what, serial=link.serial, command=link.purpose)
    said = ahead[:length] + link.receive(max(0, length - len(ahead)))
    reason = said.decode("utf-8", errors="replace")
    full = any(word in reason.lower() for word in _NO_SPACE)
    trouble = PhoneTrouble.FULL if full else PhoneTrouble.REFUSED
    what = f"{named(link.serial)} did not take or give {remote!r}: {reason}"
    return phone_error(trouble, what, serial=link.serial, command=link.purpose, output=reason)
