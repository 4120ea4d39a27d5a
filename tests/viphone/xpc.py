"""XPC as it travels between computers: messages with one object, whose kinds are numbered."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import Any

WRAPPER = struct.Struct("<IIQQ")
WRAPPER_MAGIC, BODY_MAGIC, VERSION = 0x29B00B92, 0x42133742, 5
ALWAYS, DATA, WANTS_REPLY, REPLY, HELLO = 0x1, 0x100, 0x10000, 0x20000, 0x400000
NULL, BOOL, INT64, UINT64, DOUBLE, DATE = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x7000
BYTES, STRING, UUID, ARRAY, DICTIONARY = 0x8000, 0x9000, 0xA000, 0xE000, 0xF000


class Unsigned(int):
    """A number that travels as an unsigned one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; ``body`` None is one without an object."""

    flags: int
    number: int = 0
    body: Any = None

    def encode(self) -> bytes:
        """Its bytes."""
        data = b"" if self.body is None else struct.pack("<II", BODY_MAGIC, VERSION) + encode(self.body)
        return WRAPPER.pack(WRAPPER_MAGIC, self.flags, len(data), self.number) + data


def take_message(data: bytearray) -> Message | None:
    """Take a whole message off the front; None if there is none yet. Raises `ValueError` if it is no message."""
    if len(data) < WRAPPER.size:
        return None
    magic, flags, size, number = WRAPPER.unpack_from(data)
    if magic != WRAPPER_MAGIC:
        msg = f"not a message of XPC: {magic:#x}"
        raise ValueError(msg)
    if len(data) < WRAPPER.size + size:
        return None
    body = bytes(data[WRAPPER.size : WRAPPER.size + size])
    del data[: WRAPPER.size + size]
    return Message(flags=flags, number=number, body=_decode(body, 8)[0] if body else None)


def encode(value: Any) -> bytes:
    """Encode an object; raises `TypeError` for one of an unknown kind."""
    match value:
        case None:
            return struct.pack("<I", NULL)
        case bool():
            return struct.pack("<II", BOOL, value)
        case Unsigned():
            return struct.pack("<IQ", UINT64, value)
        case int():
            return struct.pack("<Iq", INT64, value)
        case float():
            return struct.pack("<Id", DOUBLE, value)
        case uuid.UUID():
            return struct.pack("<I", UUID) + value.bytes
        case str():
            text = value.encode() + b"\0"
            return struct.pack("<II", STRING, len(text)) + _padded(text)
        case bytes():
            return struct.pack("<II", BYTES, len(value)) + _padded(value)
        case list() | tuple():
            return _collection(ARRAY, len(value), b"".join(encode(one) for one in value))
        case dict():
            pairs = b"".join(_padded(key.encode() + b"\0") + encode(one) for key, one in value.items())
            return _collection(DICTIONARY, len(value), pairs)
    msg = f"XPC cannot carry {value!r}"
    raise TypeError(msg)


def _collection(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("<III", kind, len(body) + 4, count) + body


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    """Decode the object there; return it and where the next begins."""
    (kind,) = struct.unpack_from("<I", data, at)
    at += 4
    match kind:
        case x if x == NULL:
            return None, at
        case x if x == BOOL:
            return bool(struct.unpack_from("<I", data, at)[0]), at + 4
        case x if x in (INT64, DATE):
            return struct.unpack_from("<q", data, at)[0], at + 8
        case x if x == UINT64:
            return Unsigned(struct.unpack_from("<Q", data, at)[0]), at + 8
        case x if x == DOUBLE:
            return struct.unpack_from("<d", data, at)[0], at + 8
        case x if x == UUID:
            return uuid.UUID(bytes=data[at : at + 16]), at + 16
        case x if x in (STRING, BYTES):
            (size,) = struct.unpack_from("<I", data, at)
            value = data[at + 4 : at + 4 + size]
            end = at + 4 + size + -size % 4
            return (value[:-1].decode() if kind == STRING else value), end
        case x if x in (ARRAY, DICTIONARY):
            return _decode_collection(kind, data, at)
    msg = f"no XPC object of the kind {kind:#x}"
    raise ValueError(msg)


def _decode_collection(kind: int, data: bytes, at: int) -> tuple[Any, int]:
    _, count = struct.unpack_from("<II", data, at)
    at += 8
    if kind == ARRAY:
        values = list[Any]()
        for _ in range(count):
            value, at = _decode(data, at)
            values.append(value)
        return values, at
    pairs = dict[str, Any]()
    for _ in range(count):
        end = data.index(b"\0", at)
        key = data[at:end].decode()
        pairs[key], at = _decode(data, at + (end + 1 - at) + -(end + 1 - at) % 4)
    return pairs, at
