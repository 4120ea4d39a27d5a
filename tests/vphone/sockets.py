"""Services that join a stream with a socket: forwards into the phone, and reverse forwards out of it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.vphone.jail import Jail
from tests.vphone.stream import Stream, StreamClosedError
from tests.vphone.transport import ServiceError, Transport

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 256 * 1024


def dial(destination: str, jail: Jail) -> socket.socket:
    """Connect to a socket of the phone; raises `ServiceError` when nobody listens there."""
    kind, _, name = destination.partition(":")
    try:
        match kind:
            case "tcp":
                return socket.create_connection((LOOPBACK, int(name)), timeout=None)
            case "localabstract":
                return _dial_local("\0" + name)
            case "local" | "localfilesystem" | "localreserved":
                return _dial_local(str(jail.resolve(name)))
            case _:
                msg = f"no sockets of the kind {kind!r}"
                raise ServiceError(msg)
    except (OSError, ValueError) as error:
        msg = f"nothing answers at {destination!r}"
        raise ServiceError(msg) from error


def _dial_local(address: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(address)
    except OSError:
        link.close()
        raise
    return link


def join(stream: Stream, link: socket.socket) -> None:
    """Copy in both directions until both ends have finished."""

    def outwards() -> None:
        with suppress(OSError):
            while data := stream.read():
                link.sendall(data)
        with suppress(OSError):
            link.shutdown(socket.SHUT_WR)

    copier = threading.Thread(target=outwards, name="forward", daemon=True)
    copier.start()
    with link:
        with suppress(OSError):
            while data := link.recv(CHUNK_BYTES):
                stream.write(data)
        stream.close()
        copier.join()


class Reverses:
    """The reverse forwards of one phone: ports on which it listens, and where on the computer each leads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, socket.socket]] = {}

    def answer(self, request: str, stream: Stream, transport: Transport) -> None:
        """Carry out ``forward:A;B``, ``killforward:A``, ``killforward-all`` or ``list-forward``."""
        stream.accept()
        verb, _, rest = request.partition(":")
        try:
            match verb:
                case "forward":
                    stream.write(self._forward(rest, transport))
                case "killforward":
                    self._kill(rest)
                    stream.write(b"OKAY")
                case "killforward-all":
                    self.close()
                    stream.write(b"OKAY")
                case "list-forward":
                    stream.write(_counted(self._listed()))
                case _:
                    stream.write(b"FAIL" + _counted(f"unknown reverse command {verb!r}"))
        except (ServiceError, OSError, ValueError) as error:
            with suppress(StreamClosedError):
                stream.write(b"FAIL" + _counted(str(error)))

    def close(self) -> None:
        """Stop listening everywhere."""
        with self._lock:
            gone, self._open = self._open, {}
        for _, listener in gone.values():
            _stop(listener)

    def _forward(self, rest: str, transport: Transport) -> bytes:
        source, _, destination = rest.removeprefix("norebind:").partition(";")
        if source in self._open and rest.startswith("norebind:"):
            msg = f"cannot rebind {source}"
            raise ServiceError(msg)
        kind, _, port = source.partition(":")
        if kind != "tcp":
            msg = f"the phone listens on tcp only, not on {source!r}"
            raise ServiceError(msg)
        if source in self._open:
            self._kill(source)
        listener = socket.create_server((LOOPBACK, int(port)))
        bound = listener.getsockname()[1]
        with self._lock:
            self._open[f"tcp:{bound}"] = (destination, listener)
        accept = threading.Thread(target=_accept, args=(listener, destination, transport), name=source, daemon=True)
        accept.start()
        return b"OKAY" + (_counted(str(bound)) if int(port) == 0 else b"")

    def _kill(self, source: str) -> None:
        with self._lock:
            found = self._open.pop(source, None)
        if found is None:
            msg = f"listener '{source}' not found"
            raise ServiceError(msg)
        _stop(found[1])

    def _listed(self) -> str:
        with self._lock:
            return "".join(f"host {source} {destination}\n" for source, (destination, _) in self._open.items())


def _accept(listener: socket.socket, destination: str, transport: Transport) -> None:
    with suppress(OSError):
        while True:
            link, _ = listener.accept()
            threading.Thread(target=_carry, args=(link, destination, transport), name="reverse", daemon=True).start()


def _carry(link: socket.socket, destination: str, transport: Transport) -> None:
    with suppress(OSError):
        stream = transport.open(destination)
        if stream is None:
            link.close()
        else:
            join(stream, link)


def _stop(listener: socket.socket) -> None:
    # Closing alone would not wake a thread that waits in accept.
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _counted(text: str) -> bytes:
    return f"{len(text):04x}{text}".encode()
