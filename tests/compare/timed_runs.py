"""Runs of one cell that differ in what a test changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.plan.cells import Cell, make_cell
from harness.records.measurement import LaunchSummary, Measurement
from harness.spec.profiles import ProfileName
from harness.store.records import RunRecord
from harness.wire import Delegate, Format
from tests.report.builders import PHONE, latency_of, make_run, measurement

CELL = make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, 1, PHONE.key, ProfileName.STANDARD)
Change = Callable[[Measurement], Measurement]


def timed(found: Measurement, medians_us: list[float], *, tainted: tuple[int, ...] = ()) -> Measurement:
    """``found`` with one launch for each of ``medians_us``; those numbered in ``tainted`` do not count."""
    launches = tuple(
        LaunchSummary(
            index=i,
            reply_sha256="0" * 64,
            median_ns=round(1000 * us),
            calls=100,
            first_ns=1,
            load_ns=1_000_000 + 1000 * i,
            steady_state="flat",
            tainted=("slowdown",) if i in tainted else (),
        )
        for i, us in enumerate(medians_us)
    )
    good = [round(1000 * us) for i, us in enumerate(medians_us) if i not in tainted]
    return replace(found, launches=launches, latency=latency_of([[ns] * 3 for ns in good]))


LEVEL = [100.0, 101.0, 99.0, 100.5, 99.5]


def a_run(change: Change = lambda m: m, *, cell: Cell = CELL, **facts: Any) -> RunRecord:
    """A run of one cell at 100 µs, ± 1 % from launch to launch."""
    return make_run(
        (cell,), (change(timed(measurement(cell, launches=5), LEVEL)),), device=facts.pop("device", PHONE), **facts
    )
