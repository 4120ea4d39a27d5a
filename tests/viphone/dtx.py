"""DTX, the protocol of Instruments: messages on numbered channels, with archived objects as arguments.

The layout of fragments and messages was checked against recordings of real phones (``golden/dtx.json``).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from tests.viphone.archive import NSError, archive, unarchive
from tests.viphone.link import HungUpError, Link

MAGIC = 0x1F3D5B79
# Magic, size of this header, number of the fragment and of all, bytes, message, conversation, channel, flags.
FRAGMENT = struct.Struct("<IIHHIIIiI")
# Kind, three reserved bytes, bytes of the arguments, bytes of arguments and payload.
MESSAGE = struct.Struct("<BxxxIQ")
ARGUMENTS = struct.Struct("<IIQ")
ARGUMENTS_MAGIC = 0x1F0
EXPECTS_REPLY = 1
FRAGMENT_BYTES = 64 * 1024
MAX_BYTES = 64 * 1024 * 1024
CONTROL = 0


class Kind(IntEnum):
    """What a message is."""

    OK = 0
    DATA = 1
    DISPATCH = 2
    OBJECT = 3
    ERROR = 4


class Primitive(IntEnum):
    """How an argument is encoded."""

    STRING = 1
    BUFFER = 2
    INT32 = 3
    INT64 = 6
    DOUBLE = 9
    NULL = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, put together from its fragments. ``payload`` of a dispatch is the selector."""

    kind: int
    number: int
    conversation: int = 0
    channel: int = 0
    expects_reply: bool = False
    payload: Any = None
    arguments: tuple[Any, ...] = ()

    def encode(self) -> bytes:
        """The fragments, one after the other."""
        aux = encode_arguments(self.arguments)
        payload = b"" if self.payload is None else archive(self.payload)
        body = MESSAGE.pack(self.kind, len(aux), len(aux) + len(payload)) + aux + payload
        if len(body) <= FRAGMENT_BYTES:
            return self._fragment(0, 1, len(body)) + body
        parts = [body[at : at + FRAGMENT_BYTES] for at in range(0, len(body), FRAGMENT_BYTES)]
        # The first fragment of several says how long all are together, and carries nothing.
        said = [self._fragment(0, len(parts) + 1, len(body))]
        said += [self._fragment(at + 1, len(parts) + 1, len(part)) + part for at, part in enumerate(parts)]
        return b"".join(said)

    def _fragment(self, index: int, count: int, size: int) -> bytes:
        return FRAGMENT.pack(
            MAGIC, FRAGMENT.size, index, count, size, self.number, self.conversation, self.channel, self.expects_reply
        )


def receive_message(link: Link) -> Message:
    """Wait for a whole message; raises `HungUpError` at the end of the connection or when it is no message."""
    body, head = b"", FRAGMENT.unpack(link.receive(FRAGMENT.size))
    while True:
        magic, header, index, count, size = head[:5]
        if magic != MAGIC or size > MAX_BYTES:
            msg = f"not a fragment of DTX: {magic:#x}"
            raise HungUpError(msg)
        link.receive(header - FRAGMENT.size)
        body += b"" if index == 0 and count > 1 else link.receive(size)
        if index == count - 1:
            return decode_message(head, body)
        head = FRAGMENT.unpack(link.receive(FRAGMENT.size))


def decode_message(head: tuple[int, ...], body: bytes) -> Message:
    """Decode a message from the header of a fragment of it and all its bytes; raises `ValueError`."""
    kind, aux, total = MESSAGE.unpack_from(body)
    arguments, payload = body[16 : 16 + aux], body[16 + aux : 16 + total]
    return Message(
        kind=kind,
        number=head[5],
        conversation=head[6],
        channel=head[7],
        expects_reply=bool(head[8] & EXPECTS_REPLY),
        payload=unarchive(payload) if payload else None,
        arguments=decode_arguments(arguments),
    )


def encode_arguments(values: Sequence[Any]) -> bytes:
    """Encode arguments, each as an archive."""
    if not values:
        return b""
    said = b""
    for value in values:
        data = b"" if value is None else archive(value)
        said += struct.pack("<III", Primitive.NULL, Primitive.BUFFER, len(data)) + data
    return ARGUMENTS.pack(ARGUMENTS_MAGIC, 0, len(said)) + said


def decode_arguments(data: bytes) -> tuple[Any, ...]:
    """Decode arguments; raises `ValueError`."""
    if not data:
        return ()
    at, values = ARGUMENTS.size, list[Any]()
    while at < len(data):
        _, at = _primitive(data, at)  # The key, which is null for an argument by position.
        value, at = _primitive(data, at)
        values.append((unarchive(value) if value else None) if isinstance(value, bytes) else value)
    return tuple(values)


def _primitive(data: bytes, at: int) -> tuple[Any, int]:
    (kind,) = struct.unpack_from("<I", data, at)
    at += 4
    match kind & 0xFF:
        case Primitive.NULL:
            return None, at
        case Primitive.STRING | Primitive.BUFFER:
            (size,) = struct.unpack_from("<I", data, at)
            value = data[at + 4 : at + 4 + size]
            return (value if kind & 0xFF == Primitive.BUFFER else value.decode()), at + 4 + size
        case Primitive.INT32:
            return struct.unpack_from("<i", data, at)[0], at + 4
        case Primitive.INT64:
            return struct.unpack_from("<q", data, at)[0], at + 8
        case Primitive.DOUBLE:
            return struct.unpack_from("<d", data, at)[0], at + 8
    msg = f"no primitive of the kind {kind:#x}"
    raise ValueError(msg)


class DispatchError(Exception):
    """A call failed; the other end gets the error."""

    def __init__(self, error: NSError) -> None:
        super().__init__(error.info.get("NSLocalizedDescription", error.domain))
        self.error = error


# What a selector does with its arguments.
Method = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What answers on one channel."""

    methods: Mapping[str, Method]
    close: Callable[[], None] = lambda: None


# Opens a service on a channel; it may send on it with the function that it gets.
Opener = Callable[[Callable[..., None]], Channel]


@dataclass(slots=True, kw_only=True)
class Session:
    """One connection: the handshake, channels that the other end opens, and answers."""

    link: Link
    services: Mapping[str, Opener]
    capabilities: Mapping[str, int] = field(default_factory=dict)
    _channels: dict[int, Channel] = field(default_factory=dict)
    _numbers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self) -> None:
        """Answer until the connection ends; raises `OSError` then."""
        methods: dict[str, Method] = {
            "_notifyOfPublishedCapabilities:": lambda _: None,
            "_requestChannelWithCode:identifier:": self._open,
            "_channelCanceled:": self._close,
        }
        self._channels[CONTROL] = Channel(methods=methods)
        said = {"com.apple.private.DTXConnection": 1, "com.apple.private.DTXBlockCompression": 0}
        said |= dict.fromkeys(self.services, 1) | dict(self.capabilities)
        try:
            self._send(CONTROL, "_notifyOfPublishedCapabilities:", said)
            while True:
                self._answer(receive_message(self.link))
        finally:
            for channel in list(self._channels.values()):
                channel.close()

    def _answer(self, message: Message) -> None:
        if message.kind != Kind.DISPATCH:
            return
        channel = self._channels.get(message.channel)
        method = channel.methods.get(message.payload) if channel else None
        kind, payload = Kind.OK, None
        try:
            if method is None:
                raise DispatchError(_unknown(message.payload))
            payload = method(*message.arguments)
            kind = Kind.OK if payload is None else Kind.OBJECT
        except DispatchError as error:
            kind, payload = Kind.ERROR, error.error
        if message.expects_reply:
            reply = Message(
                kind=kind,
                number=message.number,
                conversation=message.conversation + 1,
                channel=message.channel,
                payload=payload,
            )
            self.link.send(reply.encode())

    def _open(self, code: int, name: str) -> None:
        if name not in self.services:
            text = f"There is no service {name!r} on this device"
            raise DispatchError(NSError(domain="DTXMessage", code=1, info={"NSLocalizedDescription": text}))

        # What the phone sends of its own accord has the channel's number with the other sign.
        def send(selector: str, *arguments: Any) -> None:
            self._send(-code, selector, *arguments)

        self._channels[code] = self.services[name](send)

    def _close(self, code: int) -> None:
        channel = self._channels.pop(code, None)
        if channel is not None:
            channel.close()

    def _send(self, channel: int, selector: str, *arguments: Any) -> None:
        with self._lock:
            self._numbers += 1
            number = self._numbers
        message = Message(kind=Kind.DISPATCH, number=number, channel=channel, payload=selector, arguments=arguments)
        self.link.send(message.encode())


def _unknown(selector: Any) -> NSError:
    text = f"Unable to invoke {selector!r} - it does not respond to the selector"
    return NSError(domain="DTXMessage", code=1, info={"NSLocalizedDescription": text})
