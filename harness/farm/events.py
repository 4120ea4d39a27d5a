"""What happens on a farm, one record per event, in the order of a journal that only grows.

The journal is enough to tell the state of a farm: what was queued, who runs what, and what has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What happened.

    ``queued``: a cell waits for its device. ``started``: an agent runs it. ``done``: its result is stored. ``lost``:
    the attempt ended without a result. ``dropped``: it will not be tried again in this run. ``closed``: the program
    that queued the run's cells has gone, finished or not.
    """

    QUEUED = "queued"
    STARTED = "started"
    DONE = "done"
    LOST = "lost"
    DROPPED = "dropped"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. ``at`` is ISO 8601 in UTC by the clock of whoever keeps the journal, never by that of an agent.

    ``attempt`` counts from 0. ``seconds`` is how long the attempt took, ``reason`` why it was lost or dropped.
    ``agent`` is the host that the device is on, ``user`` who queued the cell. ``parcel`` is the digest of the file that
    holds the result. ``final`` says that another attempt would end the same way.
    """

    kind: EventKind
    at: str
    run: str
    cell: str = ""
    device: str = ""
    attempt: int = 0
    agent: str = ""
    user: str = ""
    priority: int = 0
    seconds: float | None = None
    reason: str = ""
    parcel: str = ""
    final: bool = False
