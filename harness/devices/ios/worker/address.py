"""Where usbmuxd listens. phonebench reads it here too, so that both sides of the pipe ask the same one."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = "USBMUXD_SOCKET_ADDRESS"
_DEFAULT = "/var/run/usbmuxd"
_WINDOWS = "127.0.0.1:27015"
# A path may hold colons too, and an IPv6 address stands in brackets.
_HOST_PORT = re.compile(r"(?:\[([^]/]+)\]|([^:/]+)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The path of a socket, or a host with its port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        """The kind of socket that connects to it."""
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def target(self) -> str | tuple[str, int]:
        """What a socket of that kind connects to."""
        return self.path or (self.host, self.port)


def address_text(environment: Mapping[str, str]) -> str:
    """Return what the user set, or else where the system has it. An empty variable counts as none."""
    return environment.get(VARIABLE) or (_WINDOWS if sys.platform == "win32" else _DEFAULT)


def read_address(text: str) -> Address:
    """Read ``HOST:PORT``, ``[IPV6]:PORT``, ``UNIX:PATH`` or a path."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        return Address(path=text.removeprefix("UNIX:") or text)
    return Address(host=match[1] or match[2], port=int(match[3]))
