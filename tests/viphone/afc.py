"""AFC, the protocol of files: packets with a little-endian header, one answer to each."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from tests.viphone.link import HungUpError, Link
from tests.viphone.storage import Storage

MAGIC = b"CFA6LPAA"
HEADER = struct.Struct("<8sQQQQ")
QUAD = struct.Struct("<Q")
READ_LIMIT_BYTES = 8 * 1024 * 1024
KINDS = {0o040000: "S_IFDIR", 0o100000: "S_IFREG", 0o120000: "S_IFLNK"}
# Modes of FILE_OPEN: r, r+, w, w+, a, a+.
FLAGS = {
    1: (os.O_RDONLY, "rb"),
    2: (os.O_RDWR | os.O_CREAT, "r+b"),
    3: (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "wb"),
    4: (os.O_RDWR | os.O_CREAT | os.O_TRUNC, "w+b"),
    5: (os.O_WRONLY | os.O_CREAT | os.O_APPEND, "ab"),
    6: (os.O_RDWR | os.O_CREAT | os.O_APPEND, "a+b"),
}


class Op(IntEnum):
    """The operations, by their numbers."""

    STATUS = 0x01
    DATA = 0x02
    READ_DIR = 0x03
    TRUNCATE = 0x07
    REMOVE_PATH = 0x08
    MAKE_DIR = 0x09
    GET_FILE_INFO = 0x0A
    GET_DEVICE_INFO = 0x0B
    FILE_OPEN = 0x0D
    FILE_OPEN_RESULT = 0x0E
    FILE_READ = 0x0F
    FILE_WRITE = 0x10
    FILE_SEEK = 0x11
    FILE_TELL = 0x12
    FILE_TELL_RESULT = 0x13
    FILE_CLOSE = 0x14
    FILE_SET_SIZE = 0x15
    RENAME_PATH = 0x18
    FILE_LOCK = 0x1B
    MAKE_LINK = 0x1C
    SET_FILE_TIME = 0x1E
    REMOVE_PATH_AND_CONTENTS = 0x22


class Status(IntEnum):
    """How an operation ended."""

    SUCCESS = 0
    UNKNOWN_ERROR = 1
    INVALID_ARGUMENT = 7
    NOT_FOUND = 8
    IS_DIRECTORY = 9
    PERMISSION_DENIED = 10
    NOT_SUPPORTED = 15
    EXISTS = 16
    NO_SPACE_LEFT = 18
    IO_ERROR = 20
    DIRECTORY_NOT_EMPTY = 33


class AfcError(Exception):
    """An operation failed."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One packet: the fields of the operation, and for a write the bytes after them."""

    number: int
    op: int
    fields: bytes
    payload: bytes

    def texts(self, start: int = 0) -> list[str]:
        """The zero-terminated texts in the fields, from that offset."""
        return [text.decode(errors="surrogateescape") for text in self.fields[start:].split(b"\0")[:-1]]

    def quads(self, count: int) -> tuple[int, ...]:
        """That many numbers; raises `AfcError` if there are fewer."""
        if len(self.fields) < count * QUAD.size:
            raise AfcError(Status.INVALID_ARGUMENT)
        return struct.unpack_from(f"<{count}Q", self.fields)


def receive_request(link: Link) -> Request:
    """Wait for a packet; raises `HungUpError` at the end of the connection or when it is no packet."""
    magic, whole, head, number, op = HEADER.unpack(link.receive(HEADER.size))
    if magic != MAGIC or not HEADER.size <= head <= whole:
        msg = f"not a packet of AFC: {magic!r}"
        raise HungUpError(msg)
    return Request(number=number, op=op, fields=link.receive(head - HEADER.size), payload=link.receive(whole - head))


def packet(number: int, op: Op, fields: bytes = b"", payload: bytes = b"") -> bytes:
    """Encode an answer."""
    head = HEADER.size + len(fields)
    return HEADER.pack(MAGIC, head + len(payload), head, number, op) + fields + payload


class AfcSession:
    """The files below ``root``, for one connection. ``allows`` says which parts of it, by their first folder."""

    def __init__(
        self,
        root: Path,
        storage: Storage,
        *,
        allows: Callable[[str], bool] = lambda _: True,
        clip: Callable[[Path, bytes], bytes] = lambda _, data: data,
    ) -> None:
        self._root, self._storage, self._allows, self._clip = root.resolve(), storage, allows, clip
        self._open: dict[int, tuple[BinaryIO, Path]] = {}
        self._next = 1

    def serve(self, link: Link) -> None:
        """Answer until the connection ends."""
        try:
            while True:
                link.send(self.answer(receive_request(link)))
        finally:
            for file, _ in self._open.values():
                file.close()

    def answer(self, request: Request) -> bytes:
        """Carry one request out and encode the answer."""
        answers: dict[int, Callable[[Request], tuple[Op, bytes, bytes]]] = {
            Op.READ_DIR: self._read_dir,
            Op.GET_FILE_INFO: self._info,
            Op.GET_DEVICE_INFO: self._device_info,
            Op.FILE_OPEN: self._open_file,
            Op.FILE_READ: self._read,
            Op.FILE_WRITE: self._write,
            Op.FILE_TELL: self._tell,
        }
        try:
            if request.op in answers:
                op, fields, payload = answers[request.op](request)
                return packet(request.number, op, fields, payload)
            self._act(request)
            status = Status.SUCCESS
        except AfcError as error:
            status = error.status
        except FileNotFoundError:
            status = Status.NOT_FOUND
        except FileExistsError:
            status = Status.EXISTS
        except IsADirectoryError:
            status = Status.IS_DIRECTORY
        except OSError:
            status = Status.IO_ERROR
        return packet(request.number, Op.STATUS, QUAD.pack(status))

    def _act(self, request: Request) -> None:
        """Carry out an operation that is answered by its status alone."""
        match request.op:
            case Op.REMOVE_PATH:
                self._remove(self._path(request.texts()[0]))
            case Op.REMOVE_PATH_AND_CONTENTS:
                self._remove_all(self._path(request.texts()[0]))
            case Op.MAKE_DIR:
                self._path(request.texts()[0]).mkdir(parents=True, exist_ok=True)
            case Op.RENAME_PATH:
                source, target = (self._path(text) for text in request.texts()[:2])
                source.rename(target)
            case Op.MAKE_LINK:
                self._link(request)
            case Op.SET_FILE_TIME:
                self._set_time(request)
            case Op.TRUNCATE:
                os.truncate(self._path(request.texts(QUAD.size)[0]), request.quads(1)[0])
            case Op.FILE_SEEK | Op.FILE_SET_SIZE | Op.FILE_CLOSE | Op.FILE_LOCK:
                self._act_on_file(request)
            case _:
                raise AfcError(Status.NOT_SUPPORTED)

    def _act_on_file(self, request: Request) -> None:
        file = self._file(request)
        match request.op:
            case Op.FILE_SEEK:
                _, whence, offset = struct.unpack_from("<QQq", request.fields)
                file.seek(offset, whence)
            case Op.FILE_SET_SIZE:
                file.truncate(request.quads(2)[1])
            case Op.FILE_CLOSE:
                file.close()
                del self._open[request.quads(1)[0]]

    def _path(self, text: str) -> Path:
        """Where that path is on this computer; raises `AfcError` for one outside."""
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if ".." in parts or not self._allows(parts[0] if parts else ""):
            raise AfcError(Status.PERMISSION_DENIED)
        return self._root.joinpath(*parts)

    def _read_dir(self, request: Request) -> tuple[Op, bytes, bytes]:
        folder = self._path(request.texts()[0])
        if not folder.is_dir():
            raise AfcError(Status.NOT_FOUND)
        names = [".", "..", *sorted(file.name for file in folder.iterdir())]
        return Op.DATA, b"", b"".join(os.fsencode(name) + b"\0" for name in names)

    def _info(self, request: Request) -> tuple[Op, bytes, bytes]:
        file = self._path(request.texts()[0])
        facts = file.lstat()
        said = {
            "st_size": facts.st_size,
            "st_blocks": facts.st_blocks,
            "st_nlink": facts.st_nlink,
            "st_ifmt": KINDS.get(facts.st_mode & 0o170000, "S_IFREG"),
            "st_mtime": facts.st_mtime_ns,
            "st_birthtime": facts.st_ctime_ns,
        }
        if file.is_symlink():
            said["LinkTarget"] = str(file.readlink())
        return Op.DATA, b"", _pairs(said)

    def _device_info(self, _: Request) -> tuple[Op, bytes, bytes]:
        free = self._storage.free_bytes()
        total = free + self._storage.used_bytes()
        said = {"Model": "iPhone15,2", "FSTotalBytes": total, "FSFreeBytes": free, "FSBlockSize": 4096}
        return Op.DATA, b"", _pairs(said)

    def _open_file(self, request: Request) -> tuple[Op, bytes, bytes]:
        (mode,) = request.quads(1)
        if mode not in FLAGS:
            raise AfcError(Status.INVALID_ARGUMENT)
        path = self._path(request.texts(QUAD.size)[0])
        if path.is_dir():
            raise AfcError(Status.IS_DIRECTORY)
        flags, text = FLAGS[mode]
        file = os.fdopen(os.open(path, flags, 0o644), text, buffering=0)
        handle, self._next = self._next, self._next + 1
        self._open[handle] = (file, path)  # type: ignore[assignment]
        return Op.FILE_OPEN_RESULT, QUAD.pack(handle), b""

    def _file(self, request: Request) -> BinaryIO:
        return self._entry(request)[0]

    def _entry(self, request: Request) -> tuple[BinaryIO, Path]:
        handle = request.quads(1)[0]
        if handle not in self._open:
            raise AfcError(Status.INVALID_ARGUMENT)
        return self._open[handle]

    def _read(self, request: Request) -> tuple[Op, bytes, bytes]:
        file, path = self._entry(request)
        data = file.read(min(request.quads(2)[1], READ_LIMIT_BYTES))
        return Op.DATA, b"", self._clip(path, data)

    def _write(self, request: Request) -> tuple[Op, bytes, bytes]:
        room = self._storage.take(len(request.payload))
        self._file(request).write(request.payload[:room])
        if room < len(request.payload):
            raise AfcError(Status.NO_SPACE_LEFT)
        return Op.STATUS, QUAD.pack(Status.SUCCESS), b""

    def _tell(self, request: Request) -> tuple[Op, bytes, bytes]:
        return Op.FILE_TELL_RESULT, QUAD.pack(self._file(request).tell()), b""

    def _remove(self, path: Path) -> None:
        if not path.is_dir() or path.is_symlink():
            path.unlink()
        elif any(path.iterdir()):
            raise AfcError(Status.DIRECTORY_NOT_EMPTY)
        else:
            path.rmdir()

    def _remove_all(self, path: Path) -> None:
        for below in sorted(path.rglob("*"), reverse=True) if path.is_dir() else []:
            self._remove(below)
        self._remove(path)

    def _link(self, request: Request) -> None:
        (kind,) = request.quads(1)
        target, name = request.texts(QUAD.size)[:2]
        if kind == 1:
            os.link(self._path(target), self._path(name))
        else:
            self._path(name).symlink_to(target)

    def _set_time(self, request: Request) -> None:
        (time_ns,) = request.quads(1)
        os.utime(self._path(request.texts(QUAD.size)[0]), ns=(time_ns, time_ns))


def _pairs(said: dict[str, object]) -> bytes:
    return b"".join(f"{key}\0{value}\0".encode() for key, value in said.items())
