"""The services that a client can open on the phone, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.vphone.jail import Jail
from tests.vphone.shell import Means, run_shell
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
        """Run a service until it is over; raises `ServiceError` for an unknown name."""
        kind, _, rest = name.partition(":")
        verb, *options = kind.split(",")
        match verb:
            case "shell":
                run_shell(self.jail, stream, command=rest, framed="v2" in options, means=_means(rest, options))
            case "exec":
                run_shell(self.jail, stream, command=rest, framed=False, means=Means.PIPES)
            case "root" | "remount":
                stream.accept()
                stream.write(b"adbd cannot run as root in production builds\n")
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


def _means(command: str, options: list[str]) -> Means:
    """The command's streams: what the client asks for, else a terminal only for an interactive shell.

    Version 1 gets a raw terminal where pipes were asked for, so that the command ends when the client goes away.
    """
    if "pty" in options or (not command and "raw" not in options):
        return Means.TERMINAL
    return Means.PIPES if "v2" in options else Means.RAW_TERMINAL
