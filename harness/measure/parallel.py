"""Measures the cells of a run: one after the other, or with one worker per device where the kind allows it.

Devices whose kind is ``concurrent`` run side by side. All others run first and alone, so that nothing of ours competes
with what is measured on this computer.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from harness.devices.registry import kind_of
from harness.errors import DeviceError
from harness.measure.cell import measure
from harness.measure.gate import Gate
from harness.measure.job import Job, Keeper
from harness.progress import Progress
from harness.records.measurement import Measurement
from harness.system.clock import utc_now

# A device that loses this many cells in a row is not tried again.
LOSSES_IN_A_ROW = 2


class Sink(Keeper, Protocol):
    """Where results go while a run is measured. Several threads call it at the same time."""

    def add(self, measurement: Measurement) -> None:
        """Store a measurement before returning. Raises `StoreError` if that fails."""

    def add_all(self, measurements: Iterable[Measurement]) -> None:
        """Store measurements that are known at once, as `add` does, with one wait for the disk."""


@dataclass(slots=True, kw_only=True)
class Losses:
    """The cells that did not run on one ``device``, given by its key.

    ``cells`` counts them. ``reasons`` are the distinct reasons that concern one cell each, in order of appearance;
    ``in_a_row`` are the losses of the device itself since the last cell that ran.
    """

    device: str
    cells: int = 0
    reasons: dict[str, None] = field(default_factory=dict)
    in_a_row: list[str] = field(default_factory=list)

    @property
    def gone(self) -> str:
        """Why the device itself could not go on; empty if it can."""
        return self.in_a_row[-1] if self.in_a_row else ""

    def add(self, error: DeviceError) -> None:
        """Count a cell that was lost to ``error``."""
        self.cells += 1
        if error.one_cell:
            self.reasons[str(error)] = None
        else:
            self.in_a_row.append(str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every job needs: the gate of each device by its key, where results go, and who follows the progress."""

    gates: dict[str, Gate]
    sink: Sink
    progress: Progress


def measure_jobs(jobs: Sequence[Job], setup: Setup) -> tuple[Losses, ...]:
    """Run every job and store its measurement; return the losses of each device, in the order of ``setup.gates``.

    A device that goes away costs the cell in flight. It is given up after `LOSSES_IN_A_ROW`, since it may come back in
    time for the next cell. Raises `StoreError` when a result cannot be stored.
    """
    losses = {key: Losses(device=key) for key in setup.gates}
    setup.progress.start("measure", len(jobs))
    try:
        alone, lanes = _lanes(jobs)
        _run_lane(alone, setup, losses, threading.Event())
        if lanes:
            _side_by_side(lanes, setup, losses)
    finally:
        setup.progress.finish()
    return tuple(losses.values())


def _lanes(jobs: Sequence[Job]) -> tuple[list[Job], list[list[Job]]]:
    """Return the jobs that run alone, and a list of jobs per device for those that run side by side.

    With fewer than two concurrent devices all jobs run in the order of the plan.
    """
    lanes: dict[str, list[Job]] = {}
    alone: list[Job] = []
    for job in jobs:
        concurrent = kind_of(job.cell.device).concurrent
        (lanes.setdefault(job.cell.device, []) if concurrent else alone).append(job)
    if len(lanes) < 2:
        return list(jobs), []
    return alone, list(lanes.values())


def _side_by_side(lanes: list[list[Job]], setup: Setup, losses: dict[str, Losses]) -> None:
    """Run each lane in a thread. An error that ends one lane, or Ctrl-C, ends the others too."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(lanes)) as pool:
        futures = [pool.submit(_run_lane, lane, setup, losses, stop) for lane in lanes]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            stop.set()
            # Leaving the pool waits for its threads. Cleaning a device ends its launch in flight, which may otherwise
            # last until a deadline of many minutes.
            for lane in lanes:
                # A device that fails here must hide neither the first error nor the launches of the other devices.
                with contextlib.suppress(DeviceError):
                    setup.gates[lane[0].cell.device].device.clean()
            raise


def _run_lane(jobs: Sequence[Job], setup: Setup, losses: dict[str, Losses], stop: threading.Event) -> None:
    for job in jobs:
        if stop.is_set():
            return
        lost = losses[job.cell.device]
        if len(lost.in_a_row) >= LOSSES_IN_A_ROW:
            lost.cells += 1
            continue
        setup.progress.begin(job.cell.key)
        try:
            gate = setup.gates[job.cell.device]
            measurement = measure(job, gate.device, setup.sink, utc_now, gate=gate)
        except DeviceError as error:
            lost.add(error)
            # The error says why: a phone that went away, one that is too hot, a missing runner.
            setup.progress.step(job.cell.key, f"not run: {error}")
            continue
        lost.in_a_row.clear()
        setup.sink.add(measurement)
        setup.progress.step(job.cell.key, outcome_in_words(measurement))


def outcome_in_words(measurement: Measurement) -> str:
    """Return how a cell went, for the display of the progress."""
    if measurement.latency is None:
        return f"{measurement.status.value}: {measurement.reason}"
    return f"{measurement.latency.median_ns / 1e6:.3f} ms"
