"""What a client can open on the phone: the table from the name of a service to what runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.vphone.jail import Jail
from tests.vphone.shell import run_shell
from tests.vphone.sockets import Reverses, dial, join
from tests.vphone.stream import Stream
from tests.vphone.sync import SyncSession
from tests.vphone.transport import ServiceError, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one phone."""

    jail: Jail
    reverses: Reverses
    reboot: Callable[[], None]

    def open(self, name: str, stream: Stream, transport: Transport) -> None:
        """Run a service until it is over; raises `ServiceError` when there is none of this name."""
        kind, _, rest = name.partition(":")
        verb, *options = kind.split(",")
        match verb:
            case "shell":
                framed = "v2" in options
                # Without a word on it version 1 is a terminal; version 2 is one unless the client says raw.
                run_shell(self.jail, stream, command=rest, framed=framed, terminal="raw" not in options)
            case "exec":
                run_shell(self.jail, stream, command=rest, framed=False, terminal=False)
            case "sync":
                stream.accept()
                SyncSession(self.jail, stream).serve()
            case "reverse":
                self.reverses.answer(rest, stream, transport)
            case "reboot":
                stream.accept()
                self.reboot()
            case "tcp" | "local" | "localabstract" | "localreserved" | "localfilesystem":
                link = dial(name, self.jail)
                stream.accept()
                join(stream, link)
            case _:
                msg = f"this phone has no service {name!r}"
                raise ServiceError(msg)
