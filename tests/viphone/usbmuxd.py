"""usbmuxd: the daemon on the computer that lists phones and carries connections to their ports."""

from __future__ import annotations

import itertools
import plistlib
import socket
import struct
import threading
import uuid
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tests.viphone.link import HungUpError, Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

LOOPBACK = "127.0.0.1"
# Length, itself included, version, kind of message, and the tag that an answer repeats; little-endian.
HEADER = struct.Struct("<IIII")
PLIST_VERSION, PLIST_MESSAGE = 1, 8
MAX_BYTES = 1 << 20


class Result(IntEnum):
    """How a request ended."""

    OK = 0
    BAD_COMMAND = 1
    BAD_DEVICE = 2
    REFUSED = 3


class Usbmuxd:
    """The daemon until the ``with`` block ends, on a port of loopback or, with ``path``, on a Unix socket.

    It lists the phones that were attached. ``stop`` and ``start`` make it go away and come back.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._port = 0
        self._buid = str(uuid.uuid4()).upper()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._phones: dict[int, VirtualIPhone] = {}
        self._clients: set[socket.socket] = set()
        self._following: dict[socket.socket, threading.Lock] = {}
        self._listener: socket.socket | None = None
        self.pair_records: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """The value for ``USBMUXD_SOCKET_ADDRESS``: what pymobiledevice3 and libimobiledevice both take."""
        return str(self._path) if self._path else f"{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        """Start listening."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        self.stop()

    def start(self) -> None:
        """Listen, always at the same address."""
        if self._path:
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
            self._listener.listen()
        else:
            self._listener = socket.create_server((LOOPBACK, self._port))
            self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="usbmuxd", daemon=True).start()

    def stop(self) -> None:
        """Close the socket and cut every connection; the phones stay plugged in."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if self._path:
            self._path.unlink(missing_ok=True)
        with self._lock:
            clients, phones = list(self._clients), list(self._phones.values())
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for phone in phones:
            phone.cut_links()

    def attach(self, phone: VirtualIPhone) -> int:
        """List a phone, under a number that was never used before."""
        with self._lock:
            number = next(self._numbers)
            self._phones[number] = phone
        self._tell(_attached(number, phone))
        return number

    def detach(self, number: int) -> None:
        """List it no more."""
        with self._lock:
            gone = self._phones.pop(number, None)
        if gone is not None:
            self._tell({"MessageType": "Detached", "DeviceID": number})

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if not self._path:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), name="usbmuxd client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, plistlib.InvalidFileException, struct.error, HungUpError):
            while True:
                tag, request = _receive(client)
                if request.get("MessageType") == "Connect":
                    if self._connect(client, tag, request):
                        break
                elif request.get("MessageType") == "Listen":
                    self._follow(client, tag)
                else:
                    self._send(client, tag, self._answer(request))
        with self._lock:
            self._clients.discard(client)
            self._following.pop(client, None)
        client.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        record = str(request.get("PairRecordID", ""))
        match request.get("MessageType"):
            case "ListDevices":
                with self._lock:
                    return {"DeviceList": [_attached(number, phone) for number, phone in self._phones.items()]}
            case "ReadBUID":
                return {"BUID": self._buid}
            case "ReadPairRecord" if record in self.pair_records:
                return {"PairRecordData": self.pair_records[record]}
            case "SavePairRecord":
                self.pair_records[record] = bytes(request["PairRecordData"])
                self._tell({"MessageType": "Paired", "DeviceID": request.get("DeviceID", 0)})
                return _result(Result.OK)
            case "DeletePairRecord" if record in self.pair_records:
                del self.pair_records[record]
                return _result(Result.OK)
            case "ReadPairRecord" | "DeletePairRecord":
                return _result(Result.BAD_DEVICE)
        return _result(Result.BAD_COMMAND)

    def _connect(self, client: socket.socket, tag: int, request: dict[str, Any]) -> bool:
        """Join the client with a port of a phone, until either ends; False if there is no such port."""
        with self._lock:
            phone = self._phones.get(request.get("DeviceID", 0))
        if phone is None:
            self._send(client, tag, _result(Result.BAD_DEVICE))
            return False
        # The number of the port is in network order.
        serve = phone.take(socket.ntohs(int(request.get("PortNumber", 0))))
        if serve is None:
            self._send(client, tag, _result(Result.REFUSED))
            return False
        self._send(client, tag, _result(Result.OK))
        phone.serve(Link(client, phone.cable), serve)
        return True

    def _follow(self, client: socket.socket, tag: int) -> None:
        with self._lock:
            self._following[client] = threading.Lock()
            phones = list(self._phones.items())
        self._send(client, tag, _result(Result.OK))
        for number, phone in phones:
            self._send(client, 0, _attached(number, phone))

    def _tell(self, event: dict[str, Any]) -> None:
        with self._lock:
            following = list(self._following)
        for client in following:
            with suppress(OSError):
                self._send(client, 0, event)

    def _send(self, client: socket.socket, tag: int, message: dict[str, Any]) -> None:
        data = plistlib.dumps(message)
        packet = HEADER.pack(HEADER.size + len(data), PLIST_VERSION, PLIST_MESSAGE, tag) + data
        with self._following.get(client, threading.Lock()):
            client.sendall(packet)


def _receive(client: socket.socket) -> tuple[int, dict[str, Any]]:
    length, _, kind, tag = HEADER.unpack(_exactly(client, HEADER.size))
    if not HEADER.size <= length <= MAX_BYTES:
        msg = f"a message of {length} bytes"
        raise HungUpError(msg)
    data = _exactly(client, length - HEADER.size)
    return tag, plistlib.loads(data) if kind == PLIST_MESSAGE else {}


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            msg = "the client hung up"
            raise HungUpError(msg)
        data += part
    return data


def _result(result: Result) -> dict[str, Any]:
    return {"MessageType": "Result", "Number": int(result)}


def _attached(number: int, phone: VirtualIPhone) -> dict[str, Any]:
    properties = {
        "ConnectionSpeed": 480_000_000,
        "ConnectionType": "Network" if phone.state.wifi else "USB",
        "DeviceID": number,
        "LocationID": 0x1400000 + number,
        "ProductID": 0x12A8,
        "SerialNumber": phone.state.udid,
    }
    return {"MessageType": "Attached", "DeviceID": number, "Properties": properties}
