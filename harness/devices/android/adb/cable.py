"""A phone at an adb server: commands with their exit codes, and files. Everything has a deadline that includes opening.

Commands go by the second version of the shell protocol (AOSP ``shell_protocol.h``): what a command prints and what it
complains about come apart, and its exit code tells its end. A connection that ends without one is a loss, never a
result.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from harness.devices.android.adb import sync
from harness.devices.android.adb.deadline import Deadline, within
from harness.devices.android.adb.link import Link, Server, open_service
from harness.devices.android.advice import named, phone_error
from harness.errors import PhoneTrouble

SHELL_S = 20.0
# A phone that takes no bytes for so long in the middle of a file hangs.
IDLE_S = 20.0
# A slow phone at USB 2 takes some megabytes a second; a bound is meant here, not an estimate.
_LEAST_BYTES_PER_S = 2_000_000
_STDIN_PACKET = 16_384


class _Packet(IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3
    CLOSE_STDIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellResult:
    """How a command on the phone ended, and what it printed."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """What it printed, as text."""
        return self.stdout.decode("utf-8", errors="replace")

    @property
    def complaint(self) -> str:
        """What it complained about, as text, without the blanks around it."""
        return self.stderr.decode("utf-8", errors="replace").strip()


class Cable:
    """One phone. All methods raise `PhoneError`, whose trouble says what is wrong with the phone."""

    def __init__(self, server: Server, serial: str) -> None:
        self.server, self.serial = server, serial
        self._features: frozenset[str] | None = None

    def features(self) -> frozenset[str]:
        """Return what the phone's adb daemon can; asked once."""
        if self._features is None:
            with Link(self.server, within(SHELL_S), serial=self.serial, purpose="features") as link:
                link.request(f"host-serial:{self.serial}:features")
                self._features = frozenset(link.text().split(","))
        return self._features

    def run(self, command: str, *, stdin: bytes = b"", seconds: float = SHELL_S) -> ShellResult:
        """Run a command of the phone's shell to its end; any exit code is an answer."""
        out: dict[_Packet, bytearray] = {_Packet.STDOUT: bytearray(), _Packet.STDERR: bytearray()}
        with self._shell(command, within(seconds)) as link:
            _feed(link, stdin)
            while True:
                kind, data = _next_packet(link)
                if kind is _Packet.EXIT:
                    return ShellResult(
                        exit_code=data[0], stdout=bytes(out[_Packet.STDOUT]), stderr=bytes(out[_Packet.STDERR])
                    )
                if kind in out:
                    out[kind] += data

    def check(self, command: str, *, stdin: bytes = b"", seconds: float = SHELL_S) -> str:
        """Run a command that must succeed and return what it printed. Raises `PhoneError` for another exit code."""
        done = self.run(command, stdin=stdin, seconds=seconds)
        if done.exit_code:
            what = f"{named(self.serial)} refused {_short(command)!r} with exit code {done.exit_code}"
            said = done.complaint or done.text
            raise phone_error(PhoneTrouble.REFUSED, what, serial=self.serial, command=command, output=said)
        return done.text

    def start(self, command: str, *, seconds: float, idle_s: float) -> Link:
        """Start a command whose `printed` output is followed; it must not be silent for longer than ``idle_s``.

        Closing the link, from any thread, ends the following, and a command that prints then ends too.
        """
        link = self._shell(command, within(seconds, idle_s=idle_s))
        _feed(link, b"")
        return link

    def push(self, source: Path, remote: str) -> None:
        """Copy a file onto the phone under the name ``remote``, mode 0644; half a file may stay after an error."""
        deadline = within(_transfer_s(source.stat().st_size), idle_s=IDLE_S)
        v2 = "sendrecv_v2" in self.features()
        with self._sync(deadline, f"push {source.name}") as link:
            sync.send_file(link, source, remote, v2=v2)

    def pull(self, remote: str, target: Path) -> int:
        """Copy a file from the phone and return its bytes; ``target`` may be left half when it fails."""
        features = self.features()
        with self._sync(within(SHELL_S), f"pull {remote}") as link:
            size = sync.file_size(link, remote, v2="stat_v2" in features)
            if size is None:
                what = f"{named(self.serial)} has no file {remote!r}"
                raise phone_error(PhoneTrouble.REFUSED, what, serial=self.serial, command=link.purpose)
            # Only now it is known how long the rest may take.
            link.deadline = within(_transfer_s(size), idle_s=IDLE_S)
            return sync.receive_file(link, remote, target, v2="sendrecv_v2" in features)

    def size(self, remote: str) -> int | None:
        """Return the bytes of a file on the phone, None when there is none."""
        v2 = "stat_v2" in self.features()
        with self._sync(within(SHELL_S), f"stat {remote}") as link:
            return sync.file_size(link, remote, v2=v2)

    def _shell(self, command: str, deadline: Deadline) -> Link:
        if "shell_v2" not in self.features():
            what = f"{named(self.serial)} cannot tell how a command ended: its system is older than Android 7"
            raise phone_error(PhoneTrouble.TOO_OLD, what, serial=self.serial)
        return open_service(self.server, self.serial, f"shell,v2,raw:{command}", deadline, purpose=_short(command))

    def _sync(self, deadline: Deadline, purpose: str) -> Link:
        return open_service(self.server, self.serial, "sync:", deadline, purpose=purpose)


def printed(link: Link) -> Iterator[bytes]:
    """Yield what a command started by `Cable.start` prints, as it comes, to its end. Raises `PhoneError`."""
    while True:
        kind, data = _next_packet(link)
        if kind is _Packet.EXIT:
            return
        if kind is _Packet.STDOUT:
            yield data


def _feed(link: Link, stdin: bytes) -> None:
    """Send standard input and its end; without the end a command that reads would wait for ever."""
    for start in range(0, len(stdin), _STDIN_PACKET):
        part = stdin[start : start + _STDIN_PACKET]
        link.send(struct.pack("<BI", _Packet.STDIN, len(part)) + part)
    link.send(struct.pack("<BI", _Packet.CLOSE_STDIN, 0))


def _next_packet(link: Link) -> tuple[_Packet | None, bytes]:
    kind, length = struct.unpack("<BI", link.receive(5))
    data = link.receive(length)
    return (_Packet(kind) if kind in set(_Packet) else None), data


def _transfer_s(size: int) -> float:
    return 30 + size / _LEAST_BYTES_PER_S


def _short(command: str) -> str:
    """The beginning of a command, as an error names it."""
    first = command.strip().splitlines()[0] if command.strip() else ""
    return first if len(first) <= 60 else f"{first[:60]}…"
