"""What devices of a farm are asked to do: measure a cell, or compare two files in pairs; and what comes of the answer.

The engine knows only that an errand is for one device and that its answer is a parcel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from harness.farm.parcel import unpack, unpack_pairs
from harness.farm.work import Packed, pack, pack_pairs
from harness.measure.cell import conclude
from harness.measure.job import Job, Keeper
from harness.measure.pairs import PairPlan, RanPairs
from harness.measure.parallel import Sink, outcome_in_words
from harness.records.measurement import Measurement
from harness.spec.phone_settings import PhoneSettings

Digest = Callable[[Path], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came back of an errand, in words. ``measurement`` still has to be stored in ``sink``; None if nothing has.

    Several are stored in one go, because each waits for the disk.
    """

    words: str
    measurement: Measurement | None = None
    sink: Sink | None = None


class Errand(Protocol):
    """One thing to do on one device. ``key`` names it within its run."""

    @property
    def key(self) -> str: ...

    @property
    def device(self) -> str: ...

    def pack(self, run: str, settings: PhoneSettings, digest: Digest) -> Packed:
        """Return what an agent needs for it."""

    def may_start(self) -> bool:
        """Return whether there is still time to start it. It is asked before every attempt."""

    def take(self, parcel: Path, ahead_s: float) -> Taken:
        """Read what came back. The parcel is needed until the measurement in it, if there is one, is stored.

        ``ahead_s``: how far the clock of the agent is ahead of ours. Raises `ParcelError`, `StoreError`.
        """

    def give_up(self, reason: str) -> None:
        """Note that nothing will come back, for ``reason``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellErrand:
    """Measures a cell, and stores its measurement in ``sink``."""

    job: Job
    sink: Sink

    @property
    def key(self) -> str:
        return self.job.cell.key

    @property
    def device(self) -> str:
        return self.job.cell.device

    def pack(self, run: str, settings: PhoneSettings, digest: Digest) -> Packed:
        return pack(run, self.job, settings, digest)

    def may_start(self) -> bool:
        return True

    def take(self, parcel: Path, ahead_s: float) -> Taken:
        ran = unpack(parcel, self.sink)
        ran = replace(ran, started_at=earlier(ran.started_at, ahead_s), ended_at=earlier(ran.ended_at, ahead_s))
        measurement = conclude(self.job, ran, self.sink)
        return Taken(words=outcome_in_words(measurement), measurement=measurement, sink=self.sink)

    def give_up(self, reason: str) -> None:
        # The cell stays unmeasured, and the losses of its device say why.
        del reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PairErrand:
    """Compares two jobs (A, B) of one device in pairs.

    ``took`` gets what the session left, and returns in words how it went; ``lost`` gets why there is none. No session
    starts once ``in_time`` returns False.
    """

    key: str
    jobs: tuple[Job, Job]
    plan: PairPlan
    keeper: Keeper
    took: Callable[[RanPairs], str]
    lost: Callable[[str], None]
    in_time: Callable[[], bool] = field(default=lambda: True)

    @property
    def device(self) -> str:
        return self.jobs[0].cell.device

    def pack(self, run: str, settings: PhoneSettings, digest: Digest) -> Packed:
        return pack_pairs(self.key, self.jobs, self.plan, pack(run, self.jobs[0], settings, digest), digest)

    def may_start(self) -> bool:
        return self.in_time()

    def take(self, parcel: Path, ahead_s: float) -> Taken:
        ran = unpack_pairs(parcel, self.keeper)
        started_at, ended_at = earlier(ran.started_at, ahead_s), earlier(ran.ended_at, ahead_s)
        return Taken(words=self.took(replace(ran, started_at=started_at, ended_at=ended_at)))

    def give_up(self, reason: str) -> None:
        self.lost(reason)


def earlier(at: str, seconds: float) -> str:
    """Return an ISO 8601 time ``seconds`` earlier, in the same notation."""
    if not seconds:
        return at
    moment = datetime.fromisoformat(at) - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
