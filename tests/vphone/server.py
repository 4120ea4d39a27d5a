"""Real adb servers, each with its own port and home, so that no other server knows of them."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

LOOPBACK = "127.0.0.1"
START_S = 20.0
CONNECT_TRIES = 8


class Adb(StrEnum):
    """Which adb: the one that the package adbutils brings (36.0.0), or Debian's (29.0.6)."""

    WHEEL = "wheel"
    DEBIAN = "debian"


def adb_binary(adb: Adb) -> Path | None:
    """Where that adb is, None when it is not installed."""
    match adb:
        case Adb.WHEEL:
            import adbutils

            found: Path | None = Path(adbutils.__file__).parent / "binaries" / "adb"
        case Adb.DEBIAN:
            named = shutil.which("adb")
            found = Path(named) if named else None
    return found if found is not None and found.is_file() else None


class Plugged(Protocol):
    """What a server connects to."""

    @property
    def address(self) -> str:
        """Host and port."""

    def attach(self, reconnect: Callable[[], object]) -> None:
        """Call this whenever the phone is plugged in again: over TCP a server does not find it by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a call of the adb command line ended; the outputs as bytes, since files go through them."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs together, for messages and for tests that look for a word."""
        return (self.out + self.err).decode(errors="replace")


class AdbServer:
    """A real adb server until the ``with`` block ends. ``folder`` becomes its home, with its key in it."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self._folder, self.binary = folder, binary
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which adb, adbutils and phonebench talk to this server and to no other."""
        own = {
            "ADB_EMU": "0",
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",
            "ADB_MDNS": "0",
            "ADB_USB": "0",
            "ADBUTILS_ADB_PATH": str(self.binary),
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "HOME": str(self._folder),
        }
        return {key: value for key, value in os.environ.items() if not key.startswith(("ADB_", "ANDROID_"))} | own

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server."""
        self.kill()

    def start(self) -> None:
        """Start the server; raises `TimeoutError` when it does not answer."""
        log = self._folder / "adb-server.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [self.binary, "-P", str(self.port), "nodaemon", "server"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        ends = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > ends or self._process.poll() is not None:
                msg = f"the adb server {str(self.binary)!r} did not start: {log.read_text(errors='replace')[-500:]}"
                raise TimeoutError(msg)
            time.sleep(0.01)

    def kill(self) -> None:
        """End the server at once, as another program's ``adb kill-server`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill the server and start another on the same port; it has no phones until one is connected."""
        self.kill()
        self.start()

    def take_over(self) -> None:
        """End the server that another program has started on this port, and start our own in its place."""
        self.adb("kill-server")
        ends = time.monotonic() + START_S
        while self._answers() and time.monotonic() < ends:
            time.sleep(0.02)
        self.start()

    def adb(self, *args: str, stdin: bytes = b"", timeout_s: float = 30) -> Said:
        """Run the adb command line against this server; raises `subprocess.TimeoutExpired`."""
        done = subprocess.run(
            [self.binary, *args], input=stdin, env=self.env, capture_output=True, timeout=timeout_s, check=False
        )
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

    def connect(self, phone: Plugged) -> Said:
        """Connect to a phone, now and whenever it is plugged in again."""
        phone.attach(functools.partial(self._reconnect, phone.address))
        return self._reconnect(phone.address)

    def _reconnect(self, address: str) -> Said:
        """Connect until the server lists the phone as more than offline, or it has been tried for long enough.

        An earlier connection may be left over, and with it the server would say "already connected". Version 29 also
        stays offline forever if its own attempt to reconnect was under way.
        """
        for _ in range(CONNECT_TRIES):
            self.adb("disconnect", address)
            said = self.adb("connect", address)
            ends = time.monotonic() + 1
            while self.states().get(address, "offline") == "offline" and time.monotonic() < ends:
                time.sleep(0.02)
            if self.states().get(address, "offline") != "offline":
                break
        return said

    def states(self) -> dict[str, str]:
        """The state of every phone as the server lists it, by its key."""
        lines = self.adb("devices").out.decode().splitlines()[1:]
        return {key: state for key, tab, state in (line.partition("\t") for line in lines) if tab}

    def wait_state(self, phone: Plugged, state: str | None, timeout_s: float = 10) -> bool:
        """Wait until the server lists the phone so, or, with None, not at all; False when that does not happen."""
        ends = time.monotonic() + timeout_s
        while self.states().get(phone.address) != state:
            if time.monotonic() > ends:
                return False
            time.sleep(0.02)
        return True

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as link:
                link.sendall(b"000chost:version")
                return link.recv(4) == b"OKAY"
        except OSError:
            return False


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
