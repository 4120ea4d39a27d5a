"""One row a cell: a run's plan, holes and measurements joined, and the JSON that scripts rely on.

The one decision: this is the only place that joins them, so that the terminal, the CSV, the charts and the HTML cannot
disagree. It is imported by ``phonebench show`` and imports nothing heavy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.plan.cells import Cell
from harness.records.artifact import ArtifactFacts
from harness.records.conditions import Condition
from harness.records.measurement import Accuracy, CellStatus, Fidelity, LatencySummary, LoadSummary, Measurement
from harness.spec.recipe import Precision
from harness.store.records import RunRecord
from harness.wire import MemoryReading, RunnerInfo, RuntimeReport

# 1 (2026-11): the first.
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One cell of the plan with what is known of it; what was not measured is None.

    ``size_ratio`` is the artifact's size over that of the fp32 artifact of the same model, format and backend.
    """

    cell: Cell
    status: CellStatus
    reason: str | None = None
    measurement: Measurement | None = None
    size_ratio: float | None = None

    @property
    def artifact(self) -> ArtifactFacts | None:
        """The file that ran, or that was refused."""
        return self.measurement.artifact if self.measurement else None

    @property
    def latency(self) -> LatencySummary | None:
        """Latency over all launches."""
        return self.measurement.latency if self.measurement else None

    @property
    def load(self) -> LoadSummary | None:
        """Load times."""
        return self.measurement.load if self.measurement else None

    @property
    def memory(self) -> MemoryReading | None:
        """Memory at four moments, absolute."""
        return self.measurement.memory if self.measurement else None

    @property
    def accuracy(self) -> Accuracy | None:
        """Task accuracy from the device's own outputs."""
        return self.measurement.accuracy if self.measurement else None

    @property
    def fidelity(self) -> Fidelity | None:
        """The device's outputs against the float model's."""
        return self.measurement.fidelity if self.measurement else None

    @property
    def runtime(self) -> RuntimeReport | None:
        """What the runtime did."""
        return self.measurement.runtime if self.measurement else None

    @property
    def runner(self) -> RunnerInfo | None:
        """Which program measured."""
        return self.measurement.runner if self.measurement else None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What makes the figures less trustworthy."""
        return self.measurement.conditions if self.measurement else ()

    @property
    def sqnr_db(self) -> float | None:
        """SQNR of the device's outputs; of the artifact's check at export where the device's are not known."""
        if self.fidelity is not None:
            return self.fidelity.sqnr_db
        return self.artifact.sqnr_db if self.artifact else None

    @property
    def agreement(self) -> float | None:
        """Top-1 agreement (0…1) with the float model, on the device if known, else at export."""
        if self.fidelity is not None:
            return self.fidelity.agreement
        return self.artifact.agreement if self.artifact else None


def cell_views(run: RunRecord) -> tuple[CellView, ...]:
    """Return one view a cell in the order of the plan, then the holes as ``unsupported``.

    A cell without a measurement is ``pending``; of several measurements of one cell the last counts.
    """
    known = {m.cell: m for m in run.measurements}
    float_bytes = {
        (c.model, c.format, c.backend): _artifact_bytes(known.get(c.key))
        for c in run.head.plan.cells
        if c.variant == Precision.FP32
    }
    cells = [_view(c, known.get(c.key), float_bytes.get((c.model, c.format, c.backend))) for c in run.head.plan.cells]
    holes = [CellView(cell=h.cell, status=CellStatus.UNSUPPORTED, reason=h.reason) for h in run.head.plan.holes]
    return (*cells, *holes)


def ok_views(views: Iterable[CellView]) -> tuple[CellView, ...]:
    """Return the views of the cells that ran to their end."""
    return tuple(v for v in views if v.status is CellStatus.OK)


def groups(views: Iterable[CellView]) -> dict[tuple[str, str], tuple[CellView, ...]]:
    """Return the views by (model, device), in the order they first appear: what may be compared with each other."""
    found: dict[tuple[str, str], list[CellView]] = {}
    for view in views:
        found.setdefault((view.cell.model, view.cell.device), []).append(view)
    return {key: tuple(members) for key, members in found.items()}


def labels(views: Iterable[CellView]) -> dict[str, str]:
    """Return a short name by cell key: variant and format, and whatever else tells these cells apart."""
    listed = tuple(views)
    delegates = Counter((v.cell.format, v.cell.delegate) for v in listed)
    several_delegates = {f for f, _ in delegates if sum(1 for g, _ in delegates if g == f) > 1}
    several_threads = len({v.cell.threads for v in listed}) > 1
    names: dict[str, str] = {}
    for view in listed:
        cell = view.cell
        parts = [cell.variant, cell.format.value]
        parts += [cell.delegate.value] if cell.format in several_delegates else []
        parts += [f"{cell.threads} threads" if cell.threads > 1 else "1 thread"] if several_threads else []
        names[cell.key] = " ".join(parts)
    return names


def _view(cell: Cell, measurement: Measurement | None, float_bytes: int | None) -> CellView:
    if measurement is None:
        return CellView(cell=cell, status=CellStatus.PENDING)
    size = _artifact_bytes(measurement)
    failure = measurement.failure
    return CellView(
        cell=cell,
        status=measurement.status,
        reason=measurement.reason or (failure.message if failure else None),
        measurement=measurement,
        size_ratio=size / float_bytes if size and float_bytes else None,
    )


def _artifact_bytes(measurement: Measurement | None) -> int | None:
    return measurement.artifact.bytes if measurement and measurement.artifact else None


def plain(record: object) -> Any:
    """Turn records into what JSON has: objects, lists, and null for a number that is not finite."""
    return msgspec.json.decode(msgspec.json.encode(record))


def cell_identity(view: CellView) -> dict[str, Any]:
    """Return what tells a cell from all others of its run, as plain values."""
    cell = view.cell
    return {
        "key": cell.key,
        "model": cell.model,
        "variant": cell.variant,
        "format": cell.format.value,
        "backend": cell.backend.value if cell.backend else None,
        "delegate": cell.delegate.value,
        "threads": cell.threads,
        "device": cell.device,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGrowth:
    """Memory of the runner over its own baseline (runtime up, no model loaded), bytes; None where it was not read."""

    loaded_bytes: int
    steady_bytes: int
    peak_bytes: int | None
    retained_bytes: int | None
    mapped_bytes: int | None = None


def memory_growth(reading: MemoryReading | None) -> MemoryGrowth | None:
    """Return what the model added to the process at each moment; what it retained may be below the baseline."""
    if reading is None:
        return None
    base = reading.baseline_bytes
    return MemoryGrowth(
        loaded_bytes=reading.loaded_bytes - base,
        steady_bytes=reading.steady_bytes - base,
        peak_bytes=None if reading.peak_bytes is None else reading.peak_bytes - base,
        retained_bytes=None if reading.retained_bytes is None else reading.retained_bytes - base,
        mapped_bytes=reading.mapped_bytes,
    )
