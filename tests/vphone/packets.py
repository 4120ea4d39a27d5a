"""Packets of the adb protocol: a header of 24 bytes and a payload, the same in both directions.

Source: ``protocol.txt`` and ``adb.h`` of the Android Open Source Project, package ``packages/modules/adb``.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER = struct.Struct("<6I")
# From this version on the sum over the payload may be 0; both ends speak it since Android 9.
VERSION = 0x01000001
MAX_PAYLOAD = 1024 * 1024
TOKEN_BYTES = 20


class Command(IntEnum):
    """What a packet is; the value is four ASCII letters, little-endian."""

    CNXN = 0x4E584E43
    AUTH = 0x48545541
    OPEN = 0x4E45504F
    OKAY = 0x59414B4F
    WRTE = 0x45545257
    CLSE = 0x45534C43


class Auth(IntEnum):
    """The first argument of an AUTH packet."""

    TOKEN = 1
    SIGNATURE = 2
    PUBLIC_KEY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet; what the two arguments mean depends on the command."""

    command: Command
    arg0: int = 0
    arg1: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the header for the wire; only handshakes carry the sum, since the other end may not know us yet."""
        shaking = self.command in (Command.CNXN, Command.AUTH)
        total = sum(self.payload) & 0xFFFFFFFF if shaking else 0
        size = len(self.payload)
        return HEADER.pack(self.command, self.arg0, self.arg1, size, total, self.command ^ 0xFFFFFFFF)


def receive_exactly(link: socket.socket, size: int) -> bytes:
    """Read this many bytes; raises `ConnectionError` if the other end closes first."""
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        got = link.recv_into(view[have:])
        if not got:
            msg = f"the adb server closed the connection after {have} of {size} bytes"
            raise ConnectionError(msg)
        have += got
    return bytes(data)


def receive_packet(link: socket.socket) -> Packet | None:
    """Read one packet; None for a command that this end does not know. Raises `ConnectionError` at the end."""
    command, arg0, arg1, size, _, _ = HEADER.unpack(receive_exactly(link, HEADER.size))
    if size > MAX_PAYLOAD:
        msg = f"a packet of {size} bytes is over the {MAX_PAYLOAD} that were agreed"
        raise ConnectionError(msg)
    payload = receive_exactly(link, size)
    if command not in set(Command):
        return None
    return Packet(command=Command(command), arg0=arg0, arg1=arg1, payload=payload)
