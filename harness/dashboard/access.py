"""Where the server listens and who may read: anyone on this computer, or from elsewhere over TLS with a login.

A login is a name and a password (HTTP Basic, which TLS hides), or a certificate of the reader, or both.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ssl
import stat
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.system.addresses import is_loopback

# Short ones can be guessed over a network.
LEAST_PASSWORD = 12
# So many wrong logins from one address within this time, and it has to wait.
MOST_WRONG, WRONG_S = 10, 60.0
# Addresses that are remembered; more would only come from an attack on the memory of this process.
MOST_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The certificate of this server and its key. With ``ca``, readers must show a certificate of that authority."""

    cert: Path
    key: Path
    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where to listen and who may read; ``logins`` are SHA-256 digests of ``NAME:PASSWORD``, empty for no login."""

    host: str
    port: int
    tls: Tls | None = None
    logins: frozenset[bytes] = frozenset()

    @property
    def local(self) -> bool:
        """Whether only programs of this computer can connect."""
        return is_loopback(self.host)


def check_access(access: Access) -> None:
    """Raise `UsageError` if strangers could read, or if the files for TLS cannot be used."""
    if access.tls is not None:
        _check_tls(access.tls)
    if access.local:
        return
    if access.tls is None:
        msg = (
            f"--host {access.host} can be reached from other computers, so the dashboard needs TLS there: add "
            "--tls-cert and --tls-key, or leave out --host and use an SSH tunnel"
        )
        raise UsageError(msg)
    if not access.logins and access.tls.ca is None:
        msg = (
            f"--host {access.host} can be reached from other computers, so the dashboard needs a login there: add "
            "--login with a file of NAME:PASSWORD lines, or --tls-ca to ask readers for a certificate"
        )
        raise UsageError(msg)


def read_logins(path: Path) -> frozenset[bytes]:
    """Read a file of ``NAME:PASSWORD`` lines. Raises `UsageError` if it is missing, open to others, or wrong."""
    try:
        mode, lines = path.stat().st_mode, path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the login file {str(path)!r} cannot be read: {error}"
        raise UsageError(msg) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        msg = f"the login file {str(path)!r} can be read by other users; run: chmod 600 {path}"
        raise UsageError(msg)
    entries = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not entries:
        msg = f"the login file {str(path)!r} has no line: write NAME:PASSWORD"
        raise UsageError(msg)
    for number, line in entries:
        name, colon, password = line.partition(":")
        if not name or not colon or len(password) < LEAST_PASSWORD:
            msg = (
                f"line {number} of the login file {str(path)!r} is not NAME:PASSWORD with a password of at least "
                f"{LEAST_PASSWORD} characters"
            )
            raise UsageError(msg)
    return frozenset(_digest(line) for _, line in entries)


def host_is_ours(header: str) -> bool:
    """Return whether a ``Host`` header names this computer.

    A page of another site could have its own name resolved to this computer and read what the browser may read. The
    browser would still send that name.
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdecimal() else header
    return is_loopback(name)


@dataclass(slots=True)
class Doorkeeper:
    """Checks logins, and makes an address wait that gets them wrong again and again."""

    logins: frozenset[bytes]
    clock: Callable[[], float] = time.monotonic
    _wrong: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, headers: Mapping[str, str], address: str) -> int:
        """Return the HTTP status for a request: 200 to let it in, 401 for a wrong login, 429 to wait."""
        if not self.logins:
            return 200
        with self._lock:
            now = self.clock()
            recent = [at for at in self._wrong.get(address, []) if now - at < WRONG_S]
            if len(recent) >= MOST_WRONG:
                return 429
            sent = _sent(headers.get("authorization", ""))
            if sent is not None and self._knows(sent):
                return 200
            # A browser asks once without a login, which is no attempt.
            if sent is not None:
                if len(self._wrong) >= MOST_ADDRESSES:
                    self._wrong.clear()
                self._wrong[address] = [*recent, now]
            return 401

    def _knows(self, sent: bytes) -> bool:
        # Every login is compared in constant time, so that the time says nothing about which one was nearly right.
        return sum(hmac.compare_digest(sent, login) for login in self.logins) > 0


def _sent(header: str) -> bytes | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return _digest(base64.b64decode(text.strip(), validate=True).decode())
    except (binascii.Error, ValueError):
        return b""


def _digest(login: str) -> bytes:
    return hashlib.sha256(login.encode()).digest()


def _check_tls(tls: Tls) -> None:
    for option, path in (("--tls-cert", tls.cert), ("--tls-key", tls.key), ("--tls-ca", tls.ca)):
        if path is not None and not path.is_file():
            msg = f"{option} {str(path)!r} is not a file: give a file in PEM form"
            raise UsageError(msg)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.cert, tls.key, password="")
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except (OSError, ValueError) as error:
        msg = f"the TLS files cannot be used ({error}): --tls-cert and --tls-key must be a pair in PEM form"
        raise UsageError(msg) from error
