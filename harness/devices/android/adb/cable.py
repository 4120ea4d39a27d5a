"""A phone behind an adb server: commands with their exit codes, and files. Every deadline includes connecting.

Commands use version 2 of the shell protocol (AOSP ``shell_protocol.h``), which separates standard output from standard
error and ends with the exit code. A connection that closes without an exit code is a lost phone, never a result.
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
from harness.errors import PhoneError, PhoneTrouble

SHELL_S = 20.0
# A phone that accepts no bytes for this long in the middle of a file has hung.
IDLE_S = 20.0
# A slow phone on USB 2 still takes some megabytes per second. This bounds a transfer; it does not estimate one.
_MIN_BYTES_PER_S = 2_000_000
_STDIN_PACKET = 16_384
# adb's own packets have at most 1 MiB, and the largest output that phonebench reads is that of a large model.
_MOST_PACKET, _MOST_OUTPUT = 64 << 20, 512 << 20


class _Packet(IntEnum):
    # The ids of AOSP's ShellProtocol::Id; those that are missing here, such as window sizes, are skipped.
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3
    CLOSE_STDIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellResult:
    """The exit code of a command on the phone, and what it printed."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", errors="replace")

    @property
    def complaint(self) -> str:
        """Standard error as text, without surrounding white space."""
        return self.stderr.decode("utf-8", errors="replace").strip()


class Cable:
    """One phone. All methods raise `PhoneError`; its ``trouble`` says what is wrong with the phone."""

    def __init__(self, server: Server, serial: str) -> None:
        self.server, self.serial = server, serial
        self._features: frozenset[str] | None = None

    def features(self) -> frozenset[str]:
        """Return the features of the phone's adb daemon; asked once."""
        if self._features is None:
            with Link(self.server, within(SHELL_S), serial=self.serial, purpose="features") as link:
                link.request(f"host-serial:{self.serial}:features")
                self._features = frozenset(link.text().split(","))
        return self._features

    def run(self, command: str, *, stdin: bytes = b"", seconds: float = SHELL_S) -> ShellResult:
        """Run a command in the phone's shell until it ends. Any exit code is a valid result."""
        out: dict[_Packet, bytearray] = {_Packet.STDOUT: bytearray(), _Packet.STDERR: bytearray()}
        with self._shell(command, within(seconds)) as link:
            _feed(link, stdin)
            # Only an exit packet ends a command. If the connection closes first, reading raises ``gone``.
            while True:
                kind, data = _next_packet(link)
                if kind is _Packet.EXIT:
                    return ShellResult(
                        exit_code=data[0], stdout=bytes(out[_Packet.STDOUT]), stderr=bytes(out[_Packet.STDERR])
                    )
                if kind in out:
                    out[kind] += data
                    if len(out[kind]) > _MOST_OUTPUT:
                        raise _fault(link, f"printed more than {_MOST_OUTPUT >> 20} MiB for")

    def check(self, command: str, *, stdin: bytes = b"", seconds: float = SHELL_S) -> str:
        """Run a command and return its output. Raises `PhoneError` unless the exit code is 0."""
        result = self.run(command, stdin=stdin, seconds=seconds)
        if result.exit_code:
            what = f"{named(self.serial)} refused {_short(command)!r} with exit code {result.exit_code}"
            output = result.complaint or result.text
            raise phone_error(refusal_of(output), what, serial=self.serial, command=command, output=output)
        return result.text

    def start(self, command: str, *, seconds: float, idle_s: float) -> Link:
        """Start a command whose output is read with `printed`; it must not be silent for longer than ``idle_s``.

        Closing the link from any thread stops the reading. The command ends when it next tries to print.
        """
        link = self._shell(command, within(seconds, idle_s=idle_s))
        _feed(link, b"")
        return link

    def push(self, source: Path, remote: str) -> None:
        """Copy a file to ``remote`` on the phone, mode 0644. After an error a partial file may remain there."""
        deadline = within(_transfer_s(source.stat().st_size), idle_s=IDLE_S)
        v2 = "sendrecv_v2" in self.features()
        with self._sync(deadline, f"push {source.name}") as link:
            sync.send_file(link, source, remote, v2=v2)

    def pull(self, remote: str, target: Path) -> int:
        """Copy a file from the phone and return its size in bytes; ``target`` may be incomplete after an error."""
        features = self.features()
        with self._sync(within(SHELL_S), f"pull {remote}") as link:
            size = sync.file_size(link, remote, v2="stat_v2" in features)
            if size is None:
                what = f"{named(self.serial)} has no file {remote!r}"
                raise phone_error(PhoneTrouble.REFUSED, what, serial=self.serial, command=link.purpose)
            # The time limit depends on the size, which is only known now.
            link.deadline = within(_transfer_s(size), idle_s=IDLE_S)
            return sync.receive_file(link, remote, target, v2="sendrecv_v2" in features)

    def size(self, remote: str) -> int | None:
        """Return the size of a file on the phone in bytes, None if it does not exist."""
        v2 = "stat_v2" in self.features()
        with self._sync(within(SHELL_S), f"stat {remote}") as link:
            return sync.file_size(link, remote, v2=v2)

    def _shell(self, command: str, deadline: Deadline) -> Link:
        if "shell_v2" not in self.features():
            what = f"{named(self.serial)} does not report exit codes: its system is older than Android 7"
            raise phone_error(PhoneTrouble.TOO_OLD, what, serial=self.serial)
        # "raw" asks for pipes. A terminal would merge both outputs and turn line feeds into CR LF.
        return open_service(self.server, self.serial, f"shell,v2,raw:{command}", deadline, purpose=_short(command))

    def _sync(self, deadline: Deadline, purpose: str) -> Link:
        return open_service(self.server, self.serial, "sync:", deadline, purpose=purpose)


def refusal_of(output: str) -> PhoneTrouble:
    """Return what is wrong with a phone whose command failed and printed this: no space, or something else."""
    return PhoneTrouble.FULL if sync.says_full(output) else PhoneTrouble.REFUSED


def printed(link: Link) -> Iterator[bytes]:
    """Yield what a command started by `Cable.start` prints, as it arrives, until it ends. Raises `PhoneError`."""
    while True:
        kind, data = _next_packet(link)
        if kind is _Packet.EXIT:
            return
        if kind is _Packet.STDOUT:
            yield data


def _feed(link: Link, stdin: bytes) -> None:
    """Send standard input, then close it: a command that reads its input would otherwise wait forever."""
    for start in range(0, len(stdin), _STDIN_PACKET):
        part = stdin[start : start + _STDIN_PACKET]
        link.send(struct.pack("<BI", _Packet.STDIN, len(part)) + part)
    link.send(struct.pack("<BI", _Packet.CLOSE_STDIN, 0))


def _next_packet(link: Link) -> tuple[_Packet | None, bytes]:
    # One byte for the kind, then the length in four bytes, little-endian.
    kind, length = struct.unpack("<BI", link.receive(5))
    if length > _MOST_PACKET or (kind == _Packet.EXIT and not length):
        raise _fault(link, f"sent a packet of {length} bytes (protocol fault) for")
    data = link.receive(length)
    return (_Packet(kind) if kind in set(_Packet) else None), data


def _fault(link: Link, what: str) -> PhoneError:
    what = f"{named(link.serial)} {what} {link.purpose!r}"
    return phone_error(PhoneTrouble.REFUSED, what, serial=link.serial, command=link.purpose)


def _transfer_s(size: int) -> float:
    # The constant covers connecting and a phone that is busy before it starts to read.
    return 30 + size / _MIN_BYTES_PER_S


def _short(command: str) -> str:
    """Return the beginning of a command, for an error message."""
    first = command.strip().splitlines()[0] if command.strip() else ""
    return first if len(first) <= 60 else f"{first[:60]}…"
