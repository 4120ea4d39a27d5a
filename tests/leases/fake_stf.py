"""An STF server as far as phonebench asks it, made from STF's swagger file (version 1) by hand.

It lends phones to one user, opens their adb ports, and misbehaves on request.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "0123456789abcdef" * 4
OWNER = {"email": "me@example.org", "name": "me", "group": "g1"}
OTHER = {"email": "ana@example.org", "name": "Ana", "group": "g2"}

Answer = tuple[int, dict[str, Any] | bytes]


@dataclass(slots=True, kw_only=True)
class StfPhone:
    """A phone of the farm; ``address`` is where its adb port is, once it is open."""

    serial: str
    address: str = "127.0.0.1:1"
    present: bool = True
    ready: bool = True
    owner: dict[str, str] | None = None
    open: bool = False
    timeout_ms: int | None = None

    def facts(self) -> dict[str, Any]:
        """What STF says about it."""
        return {
            "serial": self.serial,
            "model": "Pixel 9",
            "platform": "Android",
            "version": "15",
            "present": self.present,
            "ready": self.ready,
            "using": self.owner is not None,
            "owner": self.owner,
        }


@dataclass(slots=True)
class FakeStf:
    """The server's state. ``wrong`` holds an answer for each ``METHOD path`` pattern, sent instead of the right one."""

    phones: dict[str, StfPhone]
    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    wrong: dict[str, Answer] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        """What ``--farm`` takes."""
        return f"stf://127.0.0.1:{self.port}"

    def answer(self, method: str, target: str, body: dict[str, Any]) -> Answer:
        """Answer one request of a user with the right token."""
        parts = urlsplit(target)
        path = parts.path.removeprefix("/api/v1")
        self.asked.append(f"{method} {unquote(path)}")
        for pattern, answer in self.wrong.items():
            if re.fullmatch(pattern, self.asked[-1]):
                return answer
        fields = parse_qs(parts.query).get("fields", [""])[0].split(",")
        match [method, *path.strip("/").split("/")]:
            case ["GET", "devices"]:
                listed = [self._picked(phone, fields) for phone in self.phones.values()]
                return 200, {"success": True, "devices": listed}
            case ["POST", "user", "adbPublicKeys"]:
                self.keys.append(body["publickey"])
                return 200, {"success": True}
            case ["POST", "user", "devices"]:
                return self._lend(body)
            case [_, "user", "devices", serial, *rest]:
                return self._of_mine(method, unquote(serial), rest, fields)
        return 404, {"success": False}

    def _lend(self, body: dict[str, Any]) -> Answer:
        phone = self.phones.get(body["serial"])
        if phone is None:
            return 404, {"success": False, "description": "Device not found"}
        if phone.owner is not None or not (phone.present and phone.ready):
            return 403, {"success": False, "description": "Device is being used or not available"}
        phone.owner, phone.timeout_ms = OWNER, body["timeout"]
        return 200, {"success": True, "description": "Device successfully added"}

    def _of_mine(self, method: str, serial: str, rest: list[str], fields: list[str]) -> Answer:
        phone = self.phones.get(serial)
        if phone is None:
            return 404, {"success": False, "description": "Device not found"}
        if phone.owner is not OWNER or not (phone.present and phone.ready):
            return 403, {"success": False, "description": "Device is not owned by you"}
        match [method, *rest]:
            case ["GET"]:
                return 200, {"success": True, "device": self._picked(phone, fields)}
            case ["POST", "remoteConnect"]:
                phone.open = True
                return 200, {"success": True, "remoteConnectUrl": phone.address}
            case ["DELETE", "remoteConnect"]:
                phone.open = False
                return 200, {"success": True}
            case ["DELETE"]:
                phone.owner, phone.open = None, False
                return 200, {"success": True, "description": "Device successfully removed"}
        return 404, {"success": False}

    def _picked(self, phone: StfPhone, fields: list[str]) -> dict[str, Any]:
        return {name: value for name, value in phone.facts().items() if name in fields or fields == [""]}


class _Handler(BaseHTTPRequestHandler):
    stf: FakeStf

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""

    def _answer(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"success": False, "description": "Bad Credentials"})
            return
        self._send(*self.stf.answer(self.command, self.path, json.loads(data) if data else {}))

    def _send(self, status: int, body: dict[str, Any] | bytes) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        # A body of bytes that ends with this promises more than it sends.
        self.send_header("Content-Length", str(len(data) + (100 if data.endswith(b"...") else 0)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_stf(*phones: StfPhone) -> Iterator[FakeStf]:
    """Serve on a free loopback port until the block ends."""
    stf = FakeStf({phone.serial: phone for phone in phones})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stf": stf}))
    stf.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
