"""Made-up nights of one scripted phone, as they are added to the history."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from harness.history.figures import make_series
from harness.history.records import Environment, Figures, HistoryEntry, NightStatus, RunFacts
from harness.plan.cells import Cell, make_cell
from harness.records.metrics import LATENCY
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format

CELL = make_cell("digits", "int8", Format.ONNX, Delegate.CPU, 1, "fake", ProfileName.STANDARD)
OTHER_CELL = make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, 1, "fake", ProfileName.STANDARD)
SERIES = make_series(CELL, LATENCY)
PHONE = Environment(
    serial_hash="ab" * 8,
    device_class="scripted phone",
    soc="simulated",
    os_build="15.1",
    runtime="onnxruntime",
    runtime_version="1.31",
    delegate_used="cpu",
    runner="fake",
    data_sha256="cd" * 32,
)


def run_facts(night: int, name: str = "") -> RunFacts:
    """The run of the ``night``-th night."""
    day = (date(2026, 1, 1) + timedelta(days=night)).isoformat()
    return RunFacts(
        name=name or f"run-{day}",
        night=day,
        created_at=f"{day}T01:00:00.000Z",
        finished_at=f"{day}T02:00:00.000Z",
        commit=f"{night:012x}",
        versions={"phonebench": "1"},
    )


def entry(value: float, *, cell: Cell = CELL, environment: Environment = PHONE, artifact: str = "aa") -> HistoryEntry:
    """A latency of ``value`` ns."""
    return HistoryEntry(
        series=make_series(cell, LATENCY),
        status=NightStatus.OK,
        figures=Figures(value=value, low=0.98 * value, high=1.02 * value, count=5),
        environment=environment,
        artifact_sha256=artifact,
        artifact_kind="onnx",
    )


def failed_entry() -> HistoryEntry:
    """A night on which the runner crashed."""
    return replace(entry(1.0), status=NightStatus.FAILED, figures=None)
