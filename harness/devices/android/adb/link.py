"""One connection to the adb server: requests, answers and raw bytes. No operation waits past its deadline.

The protocol is described in AOSP's ``packages/modules/adb/docs/dev/services.md``. A request is its length in four
hexadecimal digits, followed by the name of a service; the answer is ``OKAY``, or ``FAIL`` with a reason. phonebench has
its own client because existing ones drop the reason of a refusal, do not notice a dead connection, or wait forever.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import sys
import types
from dataclasses import dataclass
from typing import Self

from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.advice import named, phone_error
from harness.errors import PhoneError, PhoneTrouble

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The address of an adb server."""

    host: str = "127.0.0.1"
    port: int = 5037


class Link:
    """A connection, used as a context manager. ``serial`` and ``purpose`` appear in its errors.

    ``deadline`` may be replaced before the next request. All methods raise `PhoneError`: ``hung`` past the deadline,
    ``gone`` when the other side closes the connection, ``no-server`` when no adb server answers.
    """

    def __init__(self, server: Server, deadline: Deadline, *, serial: str = "", purpose: str = "") -> None:
        self._server, self.deadline = server, deadline
        self.serial, self.purpose = serial, purpose
        try:
            self._socket = socket.create_connection((server.host, server.port), timeout=deadline.wait_s())
        except OSError as error:
            what = f"no adb server answers at {server.host}:{server.port}"
            raise phone_error(PhoneTrouble.NO_SERVER, what, command=purpose, output=str(error)) from error
        # Requests are short, and each waits for its answer: Nagle's algorithm would only delay them.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. A thread that waits on it gets ``gone``."""
        # Shutting down wakes a thread that waits in recv; closing alone does not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def request(self, service: str) -> None:
        """Request a service. Raises `PhoneError` with the server's reason if it refuses."""
        data = service.encode()
        self.send(f"{len(data):04x}".encode() + data)
        status = self.receive(4)
        if status == b"FAIL":
            raise refusal(self.text(), serial=self.serial, purpose=self.purpose)
        if status != b"OKAY":
            what = f"{self._server.host}:{self._server.port} is not an adb server: it answered {status!r}"
            raise phone_error(PhoneTrouble.NO_SERVER, what, command=self.purpose)

    def text(self) -> str:
        """Receive a text that is preceded by its length."""
        digits = self.receive(4)
        try:
            length = int(digits, 16)
        except ValueError as error:
            what = f"the adb server sent {digits!r} instead of a length (protocol fault)"
            raise phone_error(PhoneTrouble.NO_SERVER, what, command=self.purpose) from error
        return self.receive(length).decode("utf-8", errors="replace")

    def send(self, data: bytes | memoryview) -> None:
        """Send all of ``data``."""
        try:
            self._socket.settimeout(self.deadline.wait_s())
            self._socket.sendall(data)
        except TimeoutError as error:
            raise self._hung() from error
        except OSError as error:
            raise self._gone(str(error)) from error

    def receive(self, count: int) -> bytes:
        """Receive exactly ``count`` bytes."""
        pieces = []
        # Piece by piece: the other side may announce gigabytes and send nothing.
        while count > 0:
            piece = memoryview(bytearray(min(count, _PIECE_BYTES)))
            filled = self.receive_some(piece)
            pieces.append(piece[:filled])
            count -= filled
        return b"".join(pieces)

    def receive_some(self, view: memoryview) -> int:
        """Receive at least one byte into ``view``, waiting if necessary, and return the number of bytes."""
        try:
            self._socket.settimeout(self.deadline.wait_s())
            # The kernel falls back to delayed acknowledgements by itself, so this is set before every read.
            _acknowledge(self._socket)
            count = self._socket.recv_into(view)
        except TimeoutError as error:
            raise self._hung() from error
        except OSError as error:
            raise self._gone(str(error)) from error
        if count == 0:
            why = "the connection was closed"
            raise self._gone(why)
        return count

    def has_answer(self) -> bool:
        """Return whether data can be read now. A phone that answers while we still send is refusing the transfer."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def _hung(self) -> PhoneError:
        who = named(self.serial) if self.serial else "the adb server"
        limit = self.deadline.seconds if self.deadline.idle_s is None else self.deadline.idle_s
        what = f"{who} gave no answer to {self.purpose!r} within {limit:g} s"
        return phone_error(PhoneTrouble.HUNG, what, serial=self.serial, command=self.purpose)

    def _gone(self, why: str) -> PhoneError:
        if not self.serial:
            what = f"the adb server ended during {self.purpose!r}"
            return phone_error(PhoneTrouble.NO_SERVER, what, command=self.purpose, output=why)
        what = f"{named(self.serial)} went away during {self.purpose!r}"
        return phone_error(PhoneTrouble.GONE, what, serial=self.serial, command=self.purpose, output=why)


def _acknowledge(connection: socket.socket) -> None:
    """Make the kernel acknowledge received data at once.

    The adb server leaves Nagle's algorithm on, so it holds back the last few bytes of a file until the data before them
    is acknowledged. A kernel delays that acknowledgement by 40 ms while its program sends nothing.
    """
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


# The refusals of adb servers 29 and 36, and what they mean. The first match counts.
_REFUSALS: tuple[tuple[str, PhoneTrouble, str], ...] = (
    (r"unauthorized", PhoneTrouble.UNAUTHORISED, "does not allow this computer to debug it"),
    (r"authorizing", PhoneTrouble.UNAUTHORISED, "has not yet answered whether this computer may debug it"),
    (r"no permissions|insufficient permissions", PhoneTrouble.NO_RIGHTS, "cannot be opened by this user"),
    (r"offline|connecting", PhoneTrouble.OFFLINE, "is offline"),
    (r"not found|no devices|unknown host service|unknown device", PhoneTrouble.GONE, "is not connected"),
    (r"closed|terminated", PhoneTrouble.GONE, "closed the connection"),
)


def refusal(reason: str, *, serial: str, purpose: str) -> PhoneError:
    """Return the error for a request that the adb server refused with ``reason``."""
    for pattern, trouble, words in _REFUSALS:
        # Without a serial the request was to the server itself, and its refusal says nothing about a phone.
        if serial and re.search(pattern, reason, re.IGNORECASE):
            return phone_error(trouble, f"{named(serial)} {words}", serial=serial, command=purpose, output=reason)
    who = named(serial) if serial else "the adb server"
    what = f"{who} refused {purpose!r}: {reason.strip() or 'no reason given'}"
    return phone_error(PhoneTrouble.REFUSED, what, serial=serial, command=purpose, output=reason)


def open_service(server: Server, serial: str, service: str, deadline: Deadline, *, purpose: str) -> Link:
    """Connect to a service on a phone; opening counts against ``deadline``. Raises `PhoneError`."""
    link = Link(server, deadline, serial=serial, purpose=purpose)
    try:
        # After the transport request the server passes everything on to the phone's daemon.
        link.request(f"host:transport:{serial}")
        link.request(service)
    except BaseException:
        # Also for Ctrl-C: the caller never gets this link, so only here can it be closed.
        link.close()
        raise
    return link
