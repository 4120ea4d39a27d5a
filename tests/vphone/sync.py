"""The ``sync:`` service, which transfers files to and from the phone, in versions 1 and 2.

Source: ``SYNC.TXT`` and ``file_sync_protocol.h`` of the Android Open Source Project, package ``packages/modules/adb``.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.vphone.jail import Jail
from tests.vphone.stream import Stream, StreamClosedError

REQUEST = struct.Struct("<4sI")
STAT_V1 = struct.Struct("<4s3I")
# error, device, inode, mode, links, user, group, size, accessed, modified, changed.
STAT_V2 = struct.Struct("<I2Q4IQ3q")
ENTRY_V1 = struct.Struct("<4s4I")
CHUNK_BYTES = 64 * 1024
# How many records go out together: adbd reads from a socket that holds some 200 KiB while a packet is on its way.
GATHERED = 3
MAX_PATH_BYTES = 1024


class SyncSession:
    """One client's requests, one after another, until it sends QUIT or goes away."""

    def __init__(self, jail: Jail, stream: Stream) -> None:
        self._jail, self._stream = jail, stream
        self._modified = 0
        self._answers: dict[bytes, Callable[[str], None]] = {
            b"STAT": self._stat,
            b"STA2": lambda path: self._stat_v2(b"STA2", path, follow=True),
            b"LST2": lambda path: self._stat_v2(b"LST2", path, follow=False),
            b"LIST": self._list,
            b"LIS2": self._list_v2,
            b"SEND": self._send,
            b"SND2": self._send_v2,
            b"RECV": self._receive,
            b"RCV2": self._receive_v2,
        }

    def serve(self) -> None:
        """Answer requests until the client has no more."""
        with suppress(StreamClosedError):
            while True:
                name, size = REQUEST.unpack(self._stream.read_exactly(REQUEST.size))
                if name == b"QUIT":
                    return
                answer = self._answers.get(name)
                if answer is None or size > MAX_PATH_BYTES:
                    self._fail(f"unknown command {name!r}" if answer is None else "path too long")
                    return
                answer(os.fsdecode(self._stream.read_exactly(size)))

    def _fail(self, why: str) -> None:
        text = why.encode()
        self._stream.write(REQUEST.pack(b"FAIL", len(text)) + text)

    def _place(self, path: str, *, follow: bool = True) -> Path:
        return self._jail.resolve(path, follow_last=follow)

    def _stat(self, path: str) -> None:
        try:
            found = self._place(path, follow=False).lstat()
        except OSError:
            self._stream.write(STAT_V1.pack(b"STAT", 0, 0, 0))
            return
        self._stream.write(STAT_V1.pack(b"STAT", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime)))

    def _stat_v2(self, name: bytes, path: str, *, follow: bool) -> None:
        self._stream.write(name + _stat_record(self._place(path, follow=follow)))

    def _list(self, path: str) -> None:
        for name, place in self._entries(path):
            with suppress(OSError):
                found = place.lstat()
                sizes = found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime), len(name)
                self._stream.write(ENTRY_V1.pack(b"DENT", *sizes) + name)
        self._stream.write(ENTRY_V1.pack(b"DONE", 0, 0, 0, 0))

    def _list_v2(self, path: str) -> None:
        for name, place in self._entries(path):
            self._stream.write(b"DNT2" + _stat_record(place) + struct.pack("<I", len(name)) + name)
        self._stream.write(b"DONE" + bytes(STAT_V2.size + 4))

    def _entries(self, path: str) -> list[tuple[bytes, Path]]:
        folder = self._place(path)
        try:
            names = os.listdir(folder)  # noqa: PTH208 - the order of the folder, and "." and ".." with it, is adbd's.
        except OSError:
            return []
        return [(os.fsencode(name), folder / name) for name in (".", "..", *names)]

    def _send(self, request: str) -> None:
        path, _, mode = request.rpartition(",")
        self._take_file(path, int(mode))

    def _send_v2(self, path: str) -> None:
        _, mode, _ = struct.unpack("<4sII", self._stream.read_exactly(12))
        self._take_file(path, mode)

    def _take_file(self, path: str, mode: int) -> None:
        """Write a file as it arrives. A failure is reported at once, and the rest is read and discarded."""
        place = self._place(path, follow=False)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            modified = self._take_link(place) if stat.S_ISLNK(mode) else self._take_data(place, mode)
        except StreamClosedError:
            raise
        except OSError as error:
            # The reason in the words of the C library, as adbd sends it.
            self._fail(os.strerror(error.errno or 0))
            for _ in self._chunks():
                pass
            return
        with suppress(OSError):
            os.utime(place, (modified, modified), follow_symlinks=False)
        self._stream.write(REQUEST.pack(b"OKAY", 0))

    def _take_data(self, place: Path, mode: int) -> int:
        if place.is_symlink() or place.exists():
            place.unlink()
        target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for chunk in self._chunks():
                view = memoryview(chunk)
                while view:
                    view = view[os.write(target, view) :]
                self._jail.wrote(len(chunk))
            os.fchmod(target, stat.S_IMODE(mode))
        finally:
            os.close(target)
        return self._modified

    def _take_link(self, place: Path) -> int:
        target = b"".join(self._chunks()).rstrip(b"\0")
        place.unlink(missing_ok=True)
        place.symlink_to(os.fsdecode(target))
        return self._modified

    def _chunks(self) -> Iterator[bytes]:
        """The data of a file that comes in; afterwards its time is in ``_modified``, in seconds."""
        while True:
            name, size = REQUEST.unpack(self._stream.read_exactly(REQUEST.size))
            if name == b"DONE":
                self._modified = size
                return
            if name != b"DATA" or size > CHUNK_BYTES:
                msg = f"{name!r} of {size} bytes inside a file"
                raise StreamClosedError(msg)
            yield self._stream.read_exactly(size)

    def _receive(self, path: str) -> None:
        try:
            source = os.open(self._place(path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fail(f"open failed: {os.strerror(error.errno or 0)}")
            return
        try:
            self._give_file(source)
        except OSError as error:
            if isinstance(error, StreamClosedError):
                raise
            self._fail(f"read failed: {os.strerror(error.errno or 0)}")
        finally:
            os.close(source)

    def _give_file(self, source: int) -> None:
        while data := os.read(source, GATHERED * CHUNK_BYTES):
            chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
            self._stream.write(b"".join(REQUEST.pack(b"DATA", len(chunk)) + chunk for chunk in chunks))
        self._stream.write(REQUEST.pack(b"DONE", 0))

    def _receive_v2(self, path: str) -> None:
        self._stream.read_exactly(8)
        self._receive(path)


def _stat_record(place: Path) -> bytes:
    try:
        found = place.lstat()
    except OSError as error:
        return STAT_V2.pack(error.errno or 0, *([0] * 10))
    times = int(found.st_atime), int(found.st_mtime), int(found.st_ctime)
    owner = found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_size
    return STAT_V2.pack(0, found.st_dev & 0xFFFFFFFFFFFFFFFF, found.st_ino, *owner, *times)
