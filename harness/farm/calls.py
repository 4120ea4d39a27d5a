"""What agents and the program that owns a run ask of the depot: one record per question and answer.

Locally the depot answers at once; between hosts the same records travel as JSON over HTTPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.farm.events import Event
from harness.farm.status import FarmStatus
from harness.records.device import DeviceInfo

# Raised when a question or an answer changes so that older hosts would misunderstand it.
# 1 (2026-11): the first. 2 (2026-11): work may be a session of pairs.
PROTOCOL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who answers: its versions, and the time by its clock (seconds since 1970). ``engine`` is where cells are queued.

    The fields of the first version stay forever, so that hosts of different versions can say that they differ.
    """

    protocol: int
    versions: dict[str, str]
    now_s: float
    engine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedCell:
    """A cell and the device that it is for. ``again``: measure it although there is a result."""

    cell: str
    device: str
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Cells of a run that wait from now on."""

    run: str
    user: str
    cells: tuple[QueuedCell, ...]
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An agent wants to start a cell on one of its devices."""

    run: str
    cell: str
    device: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Whether it may, and if so as which attempt; ``reason`` says why not."""

    go: bool
    attempt: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: with a parcel, or without one for ``reason``. ``final``: it would end so every time."""

    run: str
    cell: str
    device: str
    agent: str
    attempt: int
    seconds: float
    parcel: str = ""
    reason: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A cell of a run that is given up, or without ``cell`` the whole run, which nobody takes results of any more.

    ``finished``: every result of the run has been taken, so its parcels can be removed.
    """

    run: str
    cell: str = ""
    reason: str = ""
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A device that an agent has. ``reason`` says why it cannot take work, empty if it can."""

    info: DeviceInfo
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What an agent has, repeated every few seconds. ``now_s`` is the time by its clock, ``process`` tells restarts."""

    agent: str
    process: str
    devices: tuple[Offered, ...]
    roles: tuple[str, ...] = ()
    now_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The devices of an announcement that are this agent's alone until it has been silent for two minutes.

    ``ended`` names the runs that it works for and that nobody takes results of any more.
    """

    devices: tuple[str, ...]
    ended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Asks for the events of a run after the first ``after``.

    ``wait_s`` waits for one if there is none yet, and ``gather_s`` for more once there is one.
    """

    run: str
    after: int = 0
    wait_s: float = 0.0
    gather_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Some events of a run, in order."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallFiles:
    """Asks for files by their digests, as many as fit into one answer."""

    sha256s: tuple[str, ...]


class AgentPost(Protocol):
    """What an agent needs of the depot. Every method raises `DepotError` while the depot cannot be reached."""

    def announce(self, announcement: Announcement) -> Granted:
        """Say which devices are there; return those that may be used."""

    def claim(self, claim: Claim) -> Claimed:
        """Ask whether a cell may start."""

    def fetch(self, sha256: str, folder: Path) -> Path:
        """Return a local copy of a file, its digest checked."""

    def deliver(self, outcome: Outcome, parcel: Path | None) -> None:
        """Report how an attempt ended; the depot has the parcel when this returns."""


class RunPost(Protocol):
    """What the owner of a run needs of the depot. Every method raises `DepotError` while it cannot be reached."""

    def queue(self, queue: Queue) -> None:
        """Announce cells."""

    def offer(self, path: Path, sha256: str) -> None:
        """Make a file available to agents."""

    def events(self, since: Since) -> tuple[Event, ...]:
        """Return what happened to a run."""

    def fetch(self, sha256: str, folder: Path) -> Path:
        """Return a local copy of a file, such as a parcel."""

    def prefetch(self, sha256s: Sequence[str], folder: Path) -> None:
        """Fetch those of some files that are small in one go; `fetch` then finds them in ``folder``."""

    def drop(self, dropped: Dropped) -> None:
        """Give up a cell, or leave the run."""

    def status(self) -> FarmStatus:
        """Return the state of the farm."""
