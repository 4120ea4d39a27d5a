"""The name of a board: what stands after ``ssh:`` in its key, and the ssh arguments that it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import UsageError

# A user, a host name, an alias or an address, and a port. No word may begin with a dash: ssh would take it for an
# option.
_NAME = re.compile(
    r"(?:(?P<user>[\w.][\w.+\-]*)@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[\w.][\w.\-]*)(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A board as the user names it: ``pi5``, ``user@pi5``, ``user@pi5:2222``, ``[fe80::1]:22``."""

    name: str
    user: str | None
    host: str
    port: int | None

    def arguments(self) -> list[str]:
        """Return the arguments of ssh, the host last."""
        port = [] if self.port is None else ["-p", str(self.port)]
        user = [] if self.user is None else ["-l", self.user]
        return [*port, *user, "--", self.host.strip("[]")]


def parse_destination(name: str) -> Destination:
    """Return the destination of a board's name. Raises `UsageError` for one that cannot be a host's."""
    match = _NAME.fullmatch(name)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65536):
        msg = f"{name!r} cannot be the name of a board: write ssh:HOST, ssh:USER@HOST or ssh:USER@HOST:PORT"
        raise UsageError(msg)
    return Destination(name=name, user=match["user"], host=match["host"], port=port)
