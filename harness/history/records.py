"""What the history holds, as plain records: series, nights, and the environment of a night."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.plan.cells import Cell
from harness.records.metric import Metric

# Stored with the conditions of a night: most of its launches throttled, did not settle or were disturbed.
TAINTED = "TAINTED"


class NightStatus(StrEnum):
    """How a night of a series ended. Only ``ok`` nights are compared; a ``superseded`` value was measured again."""

    OK = "ok"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    BROKEN = "broken"


class Decision(StrEnum):
    """The outcome of a confirmation. ``refuted``: measured side by side, the two artifacts are equally fast.

    ``drift``: the artifact is the same file as before, so the device has changed and not what it runs.
    """

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric of one cell over nights. ``name`` is unique: the cell's key, a slash, the metric."""

    name: str
    cell: str
    model: str
    variant: str
    format: str
    delegate: str
    threads: int
    device: str
    profile: str
    metric: str
    unit: str
    polarity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The device, system, runtime and data of a night. A change in it splits a series into incomparable parts.

    ``serial_hash`` is the start of the SHA-256 of the device's key; ``data_sha256`` is that of the test data.
    ``os_build`` is made by `system_build`.
    """

    serial_hash: str
    device_class: str
    soc: str
    os_build: str
    runtime: str
    runtime_version: str
    delegate_used: str
    runner: str
    data_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One value and its spread, in the unit of the series. ``count``: launches, or test inputs.

    ``low`` to ``high`` is a 95 % interval; ``mean`` and ``mad`` (median absolute deviation) are over launches.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p90: float | None = None
    mean: float | None = None
    mad: float | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """What one night adds to one series; ``figures`` is None if nothing was measured."""

    series: Series
    status: NightStatus
    figures: Figures | None
    environment: Environment
    artifact_sha256: str
    artifact_kind: str
    conditions: tuple[str, ...] = ()
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run as the history stores it. ``night`` is the date of ``created_at`` (ISO 8601, UTC)."""

    name: str
    night: str
    created_at: str
    finished_at: str | None
    commit: str | None
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night of a series."""

    run: str
    night: str
    created_at: str
    commit: str | None
    attempt: int
    status: NightStatus
    figures: Figures | None
    conditions: tuple[str, ...]
    artifact_sha256: str
    environment: Environment

    @property
    def tainted(self) -> bool:
        """Whether its figures come from launches that throttled, did not settle or were disturbed."""
        return TAINTED in self.conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A confirmation's outcome. ``first_run``: first night of the new level. ``seen_run``: the night of the alarm.

    ``ratio`` is new over old with its 95 % interval, None if it was not measured.
    """

    series: str
    first_run: str
    seen_run: str
    decision: Decision
    ratio: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest night of all series: one tuple per column, one item per series.

    Columns instead of records, because a history may have tens of thousands of series. ``before`` counts the earlier
    nights; ``mean``, ``low`` and ``high`` are their mean, minimum and maximum, None if there are none.
    """

    night: str
    series: tuple[str, ...]
    metric: tuple[str, ...]
    unit: tuple[str, ...]
    value: tuple[float, ...]
    before: tuple[int, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


def system_build(system: str, build: str) -> str:
    """Return what the history stores of a device's system, such as ``Android 15 (google/…:15/AP3A/…)``.

    The first phonebench stored the name of the system alone, as this does where no build is known.
    """
    return system if build in ("", system) else f"{system} ({build})"


def is_same_system(before: str, after: str) -> bool:
    """Return whether two results of `system_build` are the same build, or may be: one of them lacks the build."""
    shorter, longer = sorted((before, after), key=len)
    return shorter == longer or longer.startswith(f"{shorter} (")


def series_name(cell: Cell, metric: Metric) -> str:
    """Return the name of a series. It is built here only, and never parsed."""
    return f"{cell.key}/{metric.name}"
