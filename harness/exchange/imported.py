"""What an importer returns: the cells of a file, with nothing added that the file does not say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.records.conditions import Condition
from harness.records.operators import OperatorProfile
from harness.records.origin import StatedFigure
from harness.wire import MemoryReading

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDevice:
    """The device as the file describes it; empty or None where it does not."""

    model: str = ""
    os: str = ""
    cpu: str = ""
    cores: int | None = None
    memory_bytes: int | None = None
    abi: str = ""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFigures:
    """The latency of one launch, summarised by the program that measured it. Times in ns, None if not said."""

    median_ns: float
    mean_ns: float | None = None
    min_ns: float | None = None
    max_ns: float | None = None
    p5_ns: float | None = None
    p25_ns: float | None = None
    p75_ns: float | None = None
    p90_ns: float | None = None
    p95_ns: float | None = None
    p99_ns: float | None = None
    variation: float | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCell:
    """One launch of one cell. Several of the same cell become its launches.

    ``format`` and ``delegate`` are the file's own words. ``samples_ns`` has every call, where the file has them, and
    ``latency`` the program's own summary. ``failure`` says why there are no figures, and ``skipped`` that nothing was
    tried. ``settings``: what else the file says about how it measured.
    """

    model: str
    variant: str = ""
    format: str = ""
    delegate: str = ""
    threads: int | None = None
    device: ImportedDevice = field(default_factory=ImportedDevice)
    program: str
    program_version: str = ""
    runtime: str = ""
    runtime_version: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    started_at: str = ""
    failure: str = ""
    skipped: bool = False
    samples_ns: tuple[int, ...] = ()
    warmup_ns: tuple[int, ...] = ()
    latency: LatencyFigures | None = None
    first_ns: int | None = None
    load_ns: int | None = None
    memory: MemoryReading | None = None
    file_bytes: int | None = None
    parameters: int | None = None
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None
    stated: tuple[StatedFigure, ...] = ()
    operators: OperatorProfile | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def has_figures(self) -> bool:
        """Whether the file says anything that was measured."""
        return any((self.samples_ns, self.latency, self.load_ns, self.memory, self.stated, self.operators))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """The cells of one file. ``notes`` say in sentences what of the file was not used."""

    cells: tuple[ImportedCell, ...]
    notes: tuple[str, ...] = ()
    commit: str | None = None


def agreed(commits: Iterable[str | None]) -> str | None:
    """Return the commit that all name, None if one names another or none: it would be said of what it did not build."""
    named = set(commits)
    return (named.pop() or None) if len(named) == 1 else None


def peak_memory(
    peak_bytes: int | None,
    definition: str,
    *,
    loaded_bytes: int | None = None,
    steady_bytes: int | None = None,
    baseline_bytes: int = 0,
    retained_bytes: int | None = None,
) -> MemoryReading | None:
    """Return a reading of what another program says of memory; None if it says no peak.

    ``definition`` must say what was read and, without a baseline, that nothing is subtracted: readings of different
    definitions are never compared.
    """
    if peak_bytes is None:
        return None
    return MemoryReading(
        definition=definition,
        baseline_bytes=baseline_bytes,
        loaded_bytes=loaded_bytes,
        steady_bytes=steady_bytes,
        peak_bytes=peak_bytes,
        retained_bytes=retained_bytes,
    )
