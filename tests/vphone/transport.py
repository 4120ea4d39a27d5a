"""One connection of an adb server with the phone: the handshake, then many streams over one line."""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable

from tests.vphone.door import Door
from tests.vphone.keys import PublicKey
from tests.vphone.line import Line
from tests.vphone.packets import MAX_PAYLOAD, TOKEN_BYTES, VERSION, Auth, Command, Packet
from tests.vphone.stream import Stream

log = logging.getLogger(__name__)

# Runs a service by its name, such as "shell:ls", and raises `ServiceError` when there is no such service.
OpenService = Callable[[str, Stream, "Transport"], None]


class ServiceError(Exception):
    """The phone has no service of this name, or it refuses to start it."""


class Transport:
    """The phone's end of one connection."""

    def __init__(self, line: Line, *, door: Door, banner: str, open_service: OpenService) -> None:
        self._line, self._door, self._banner, self._open = line, door, banner, open_service
        self._max_payload = 4096
        self._token = b""
        self._online = False
        self._streams: dict[int, Stream] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Answer packets until the connection ends; then every stream has ended as well."""
        try:
            while True:
                packet = self._line.receive()
                if packet is not None:
                    self._take(packet)
        except OSError as ended:
            log.debug("connection ended: %s", ended)
        finally:
            self._line.cut()
            for stream in list(self._streams.values()):
                stream.ended()

    def cut(self) -> None:
        """End the connection at once."""
        self._line.cut()

    def open(self, destination: str) -> Stream | None:
        """Open a stream to the computer, such as ``tcp:8000``; None when it refuses."""
        stream = self._new_stream(remote=0)
        payload = destination.encode() + b"\0"
        self._line.send(Packet(command=Command.OPEN, arg0=stream.local, payload=payload))
        return stream if stream.wait_open() else None

    def _take(self, packet: Packet) -> None:
        match packet.command:
            case Command.CNXN:
                self._max_payload = min(packet.arg1, MAX_PAYLOAD)
                self._challenge()
            case Command.AUTH:
                self._authenticate(packet)
            case _ if not self._online:
                log.debug("ignored before the handshake: %s", packet.command.name)
            case Command.OPEN:
                self._open_for(packet)
            case _:
                self._pass_on(packet)

    def _challenge(self) -> None:
        self._token = os.urandom(TOKEN_BYTES)
        self._line.send(Packet(command=Command.AUTH, arg0=Auth.TOKEN, payload=self._token))

    def _authenticate(self, packet: Packet) -> None:
        if packet.arg0 == Auth.PUBLIC_KEY:
            self._door.ask(PublicKey.decode(packet.payload), self._welcome)
        elif self._door.knows(self._token, packet.payload):
            self._welcome()
        else:
            self._challenge()

    def _welcome(self) -> None:
        self._online = True
        hello = Packet(command=Command.CNXN, arg0=VERSION, arg1=MAX_PAYLOAD, payload=self._banner.encode())
        try:
            self._line.send(hello)
        except OSError as gone:
            log.debug("the computer did not wait for the answer: %s", gone)

    def _pass_on(self, packet: Packet) -> None:
        with self._lock:
            stream = self._streams.get(packet.arg1)
        if stream is None:
            if packet.command is Command.WRTE:
                self._line.send(Packet(command=Command.CLSE, arg0=0, arg1=packet.arg0))
        elif packet.command is Command.OKAY:
            stream.acknowledged(packet.arg0)
        elif packet.command is Command.WRTE:
            stream.arrived(packet.payload)
        else:
            stream.ended()
            self._forget(stream)

    def _open_for(self, packet: Packet) -> None:
        stream = self._new_stream(remote=packet.arg0)
        name = packet.payload.rstrip(b"\0").decode(errors="surrogateescape")
        threading.Thread(target=self._run, args=(name, stream), name=f"service {name[:40]}", daemon=True).start()

    def _run(self, name: str, stream: Stream) -> None:
        try:
            self._open(name, stream, self)
        except ServiceError as refused:
            log.debug("refused %r: %s", name, refused)
        except OSError as ended:
            log.debug("service %r ended: %s", name, ended)
        finally:
            stream.close()
            self._forget(stream)

    def _new_stream(self, *, remote: int) -> Stream:
        local = next(self._numbers)
        stream = Stream(self._line, local=local, remote=remote, max_payload=self._max_payload)
        with self._lock:
            self._streams[local] = stream
        return stream

    def _forget(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream.local, None)
