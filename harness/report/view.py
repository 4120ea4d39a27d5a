"""One view per cell: a run's plan, holes and measurements joined.

Nothing else joins them, so the terminal, the page, the CSV and the charts cannot disagree. ``phonebench show`` imports
this module, which therefore imports nothing heavy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from harness.plan.cells import Cell
from harness.records.artifact import ArtifactFacts
from harness.records.conditions import Condition
from harness.records.measurement import Accuracy, CellStatus, Fidelity, LatencySummary, LoadSummary, Measurement
from harness.records.units import NONE
from harness.spec.recipe import Precision
from harness.store.records import RunRecord
from harness.wire import MemoryReading, RunnerInfo, RuntimeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One cell of the plan with its measurement; None stands for what was not measured.

    ``reason`` says why there are no results. ``size_ratio`` is the size of the artifact divided by that of the fp32
    artifact of the same model, format and backend.
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
        """Memory at four moments, in bytes, absolute."""
        return self.measurement.memory if self.measurement else None

    @property
    def accuracy(self) -> Accuracy | None:
        """Task accuracy, from the outputs of the device itself."""
        return self.measurement.accuracy if self.measurement else None

    @property
    def fidelity(self) -> Fidelity | None:
        """The outputs of the device compared with those of the float model."""
        return self.measurement.fidelity if self.measurement else None

    @property
    def runtime(self) -> RuntimeReport | None:
        """What the runtime reported of itself."""
        return self.measurement.runtime if self.measurement else None

    @property
    def runner(self) -> RunnerInfo | None:
        """The program that measured."""
        return self.measurement.runner if self.measurement else None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What makes the figures less trustworthy."""
        return self.measurement.conditions if self.measurement else ()

    @property
    def sqnr_db(self) -> float | None:
        """SQNR of the device's outputs in dB; that of the check at export where the device returned none."""
        if self.fidelity is not None:
            return self.fidelity.sqnr_db
        return self.artifact.sqnr_db if self.artifact else None

    @property
    def agreement(self) -> float | None:
        """Top-1 agreement (0…1) with the float model, on the device if measured there, else at export."""
        if self.fidelity is not None:
            return self.fidelity.agreement
        return self.artifact.agreement if self.artifact else None


def cell_views(run: RunRecord) -> tuple[CellView, ...]:
    """Return one view per cell in the order of the plan, then the holes as ``unsupported``.

    A cell without a measurement is ``pending``. If a cell was measured several times, the last one counts.
    """
    measured = {m.cell: m for m in run.measurements}
    # By backend as well: a .pte for Vulkan is another file than one for XNNPACK.
    float_bytes = {
        (c.model, c.format, c.backend): _artifact_bytes(measured.get(c.key))
        for c in run.head.plan.cells
        if c.variant == Precision.FP32
    }
    cells = [
        _view(c, measured.get(c.key), float_bytes.get((c.model, c.format, c.backend))) for c in run.head.plan.cells
    ]
    holes = [CellView(cell=h.cell, status=CellStatus.UNSUPPORTED, reason=h.reason) for h in run.head.plan.holes]
    return (*cells, *holes)


def ok_views(views: Iterable[CellView]) -> tuple[CellView, ...]:
    """Return the views of the cells that ran to their end."""
    return tuple(v for v in views if v.status is CellStatus.OK)


def groups(views: Iterable[CellView]) -> dict[tuple[str, str], tuple[CellView, ...]]:
    """Return the views by (model, device), in the order they first appear. Only cells of one group may be compared."""
    members: dict[tuple[str, str], list[CellView]] = {}
    for view in views:
        members.setdefault((view.cell.model, view.cell.device), []).append(view)
    return {key: tuple(group) for key, group in members.items()}


def labels(views: Iterable[CellView]) -> dict[str, str]:
    """Return a short name by cell key: variant and format, and whatever else differs among these cells."""
    listed = tuple(views)
    delegates = Counter((v.cell.format, v.cell.delegate) for v in listed)
    # A delegate is named only where its format runs on several; onnx on cpu beside pte on xnnpack needs no word.
    several_delegates = {f for f, _ in delegates if sum(1 for g, _ in delegates if g == f) > 1}
    several_threads = len({v.cell.threads for v in listed}) > 1
    several_lengths = len({v.cell.lengths for v in listed}) > 1
    names: dict[str, str] = {}
    for view in listed:
        cell = view.cell
        parts = [cell.variant, cell.format.value]
        parts += [cell.delegate.value] if cell.format in several_delegates else []
        parts += [thread_words(cell.threads)] if several_threads else []
        parts += [f"p{cell.lengths.prompt_tokens}"] if several_lengths and cell.lengths is not None else []
        names[cell.key] = " ".join(parts)
    return names


def file_labels(views: Iterable[CellView]) -> dict[str, str]:
    """Return the names of the files by cell key: those of `labels` without what is no part of a file."""
    return labels(replace(view, cell=replace(view.cell, threads=1, lengths=None)) for view in views)


def full_labels(views: Iterable[CellView], *, threads: bool = True) -> dict[str, str]:
    """Return the names of `labels`, with model and device where the views have several of either.

    Without ``threads``, the names are those of `file_labels`.
    """
    listed = tuple(views)
    names = labels(listed) if threads else file_labels(listed)
    models, devices = {v.cell.model for v in listed}, {v.cell.device for v in listed}
    for view in listed:
        before = f"{view.cell.model} " if len(models) > 1 else ""
        after = f" on {view.cell.device}" if len(devices) > 1 else ""
        names[view.cell.key] = f"{before}{names[view.cell.key]}{after}"
    return names


def thread_words(threads: int | None) -> str:
    """Return ``1 thread``, ``4 threads`` or, of results whose file does not say, ``unknown threads``."""
    if threads is None:
        return "unknown threads"
    return f"{threads} thread{'s' if threads > 1 else ''}"


def prompt_words(view: CellView) -> str:
    """Return the tokens of the prompt of a language model, or nothing to show for another network."""
    return NONE if view.cell.lengths is None else str(view.cell.lengths.prompt_tokens)


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
    """Return ``record`` as what JSON has: objects, lists, and null for a number that is not finite."""
    return msgspec.json.decode(msgspec.json.encode(record))


def cell_identity(view: CellView) -> dict[str, Any]:
    """Return what identifies a cell within its run, as plain values."""
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
    """Memory of the runner over its own baseline (runtime up, no model loaded), in bytes; None if not read."""

    loaded_bytes: int | None
    steady_bytes: int | None
    peak_bytes: int | None
    retained_bytes: int | None
    mapped_bytes: int | None = None


def memory_growth(reading: MemoryReading | None) -> MemoryGrowth | None:
    """Return what the model added to the process at each moment. What it retained may be negative."""
    if reading is None:
        return None
    base = reading.baseline_bytes
    return MemoryGrowth(
        loaded_bytes=None if reading.loaded_bytes is None else reading.loaded_bytes - base,
        steady_bytes=None if reading.steady_bytes is None else reading.steady_bytes - base,
        peak_bytes=None if reading.peak_bytes is None else reading.peak_bytes - base,
        retained_bytes=None if reading.retained_bytes is None else reading.retained_bytes - base,
        mapped_bytes=reading.mapped_bytes,
    )
