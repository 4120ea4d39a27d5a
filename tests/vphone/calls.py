"""How the phone's commands reach this process: a stub in the shell sends its number and arguments.

The stub waits, and its own standard streams are opened anew through the phone's /proc. So an answer of any size and
any length of time, input included, goes the way that a real command's would, and the state lives in one place.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.vphone.jail import Jail, JailError

log = logging.getLogger(__name__)

SOCKET = "dev/socket/phone"
CHUNK_BYTES = 64 * 1024
# The numbers under which the stubs keep their standard input and output.
STDIN, STDOUT = 8, 9


class CallerGoneError(ConnectionError):
    """Nobody reads the command's output: the caller has ended or closed it."""


class Call:
    """One call of a command: ``name``, ``args``, and the caller's standard streams."""

    def __init__(self, name: str, args: list[str], streams: Path) -> None:
        self.name, self.args = name, args
        self._streams = streams

    def __str__(self) -> str:
        """The call, roughly as it was typed."""
        return " ".join((self.name, *self.args))

    def out(self, text: str | bytes) -> None:
        """Print to standard output without adding a newline. Raises `CallerGoneError`."""
        self._write(STDOUT, text)

    def err(self, text: str) -> None:
        """Print to standard error. Raises `CallerGoneError`."""
        self._write(2, text)

    def read(self, target: Path, size: int | None = None) -> int:
        """Copy standard input, or this many bytes of it, into a file; return how many. Raises `OSError`."""
        done = 0
        with self._open(STDIN, os.O_RDONLY) as source, target.open("wb") as file:
            while data := source.read(CHUNK_BYTES if size is None else min(CHUNK_BYTES, size - done)):
                file.write(data)
                done += len(data)
        return done

    @property
    def waits(self) -> bool:
        """Whether the command that called is still there."""
        return self._streams.exists()

    def _open(self, stream: int, flags: int) -> io.FileIO:
        """Open a stream of the caller; a terminal must not become the controlling terminal of this process."""
        return io.FileIO(
            os.open(self._streams / str(stream), flags | os.O_NOCTTY | os.O_CLOEXEC),
            "rb" if flags == os.O_RDONLY else "wb",
        )

    def _write(self, stream: int, text: str | bytes) -> None:
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        if not data:
            return
        # Standard error may be a file: without O_APPEND it would be written over from its start.
        try:
            with self._open(stream, os.O_WRONLY | os.O_APPEND) as target:
                view = memoryview(data)
                while view:
                    view = view[target.write(view) :]
        except OSError as error:
            msg = f"nobody reads the answer to {self}"
            raise CallerGoneError(msg) from error


Answer = Callable[[Call], int]


class Switchboard:
    """Listens for calls from the phone's shell and answers each in its own thread, until it is closed."""

    def __init__(self, jail: Jail, answer: Answer) -> None:
        self._jail, self._answer = jail, answer
        self._listener = socket.socket(socket.AF_UNIX)
        _bind(self._listener, jail.outer / SOCKET)
        self._listener.listen(64)
        threading.Thread(target=self._listen, name="calls", daemon=True).start()

    def close(self) -> None:
        """Take no more calls."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._take, args=(link,), name="call", daemon=True).start()

    def _take(self, link: socket.socket) -> None:
        with link:
            call = _receive(link, self._jail)
            if call is None:
                return
            try:
                code = self._answer(call)
            except (CallerGoneError, JailError) as gone:
                log.debug("%s", gone)
                code = 1
            with suppress(OSError):
                link.sendall(f"{code}\n".encode())


def _receive(link: socket.socket, jail: Jail) -> Call | None:
    """Read the number, the name, the number of arguments, and the arguments, each followed by a zero byte."""
    data = b""
    while True:
        fields = data.split(b"\0")
        if len(fields) > 3 and len(fields) > int(fields[2]) + 3:
            break
        more = link.recv(CHUNK_BYTES)
        if not more:
            return None
        data += more
    number, name, count, *args = (os.fsdecode(field) for field in fields)
    return Call(name, args[: int(count)], jail.root / "proc" / number / "fd")


def _bind(listener: socket.socket, path: Path) -> None:
    """Bind to a path of any length: a local socket's address holds 107 bytes, and test folders are longer."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
