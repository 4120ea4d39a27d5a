"""The jobs of a run on its devices: one after the other, or with several phones, one worker a phone.

The one decision: only phones run side by side. This computer and the scripted phone take their turn before, alone, so
that nothing of ours runs beside what is measured here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from harness.devices.registry import DeviceKind, parse_device_key
from harness.errors import DeviceError, PhoneError, PhoneTrouble
from harness.measure.cell import Job, measure
from harness.measure.gate import Gate
from harness.progress import Progress
from harness.records.measurement import Measurement
from harness.store.writer import RunWriter
from harness.system.clock import utc_now

# A device that fails this many cells one after the other is not asked again.
LOSSES_IN_A_ROW = 2

# A phone may lack the app of one runtime, or the space for one model, and run the others.
_ONE_CELL = frozenset({PhoneTrouble.APP, PhoneTrouble.FULL})


def _is_of_one_cell(error: DeviceError) -> bool:
    return isinstance(error, PhoneError) and error.trouble in _ONE_CELL


@dataclass(slots=True, kw_only=True)
class Left:
    """What did not run on one device: how many cells, why, and the losses since the last cell that ran."""

    cells: int = 0
    reasons: dict[str, None] = field(default_factory=dict)
    in_a_row: list[str] = field(default_factory=list)

    def add(self, error: DeviceError) -> None:
        """Count a cell that was lost to ``error``."""
        self.cells += 1
        if _is_of_one_cell(error):
            self.reasons[str(error)] = None
        else:
            self.in_a_row.append(str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What every job needs: the gates of the devices by key, where measurements go, and who is told."""

    gates: dict[str, Gate]
    writer: RunWriter
    progress: Progress


def measure_jobs(jobs: Sequence[Job], table: Table) -> tuple[Left, ...]:
    """Run every job and store what comes of it. A lost device costs the job in flight.

    Only when the next one is lost too is the device given up. Returns what did not run, one a device. Raises
    `StoreError` when results cannot be kept.
    """
    left = {key: Left() for key in table.gates}
    table.progress.start("measure", len(jobs))
    try:
        alone, beside = _lanes(jobs)
        _run_lane(alone, table, left, threading.Event())
        if beside:
            _side_by_side(beside, table, left)
    finally:
        table.progress.finish()
    return tuple(left.values())


def _lanes(jobs: Sequence[Job]) -> tuple[list[Job], list[list[Job]]]:
    """The jobs that run one after the other, and those of each phone where there are several."""
    phones: dict[str, list[Job]] = {}
    alone: list[Job] = []
    for job in jobs:
        kind = parse_device_key(job.cell.device).kind
        (phones.setdefault(job.cell.device, []) if kind is DeviceKind.ANDROID else alone).append(job)
    if len(phones) < 2:
        return list(jobs), []
    return alone, list(phones.values())


def _side_by_side(lanes: list[list[Job]], table: Table, left: dict[str, Left]) -> None:
    """Run each lane in a thread. What ends one for good, or Ctrl-C, ends the others by closing their phones."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(lanes)) as pool:
        futures = [pool.submit(_run_lane, lane, table, left, stop) for lane in lanes]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            stop.set()
            for lane in lanes:
                table.gates[lane[0].cell.device].device.clean()
            raise


def _run_lane(jobs: Sequence[Job], table: Table, left: dict[str, Left], stop: threading.Event) -> None:
    for job in jobs:
        if stop.is_set():
            return
        lost = left[job.cell.device]
        if len(lost.in_a_row) >= LOSSES_IN_A_ROW:
            lost.cells += 1
            continue
        table.progress.begin(job.cell.key)
        try:
            gate = table.gates[job.cell.device]
            measurement = measure(job, gate.device, table.writer, utc_now, gate=gate)
        except DeviceError as error:
            lost.add(error)
            table.progress.step(job.cell.key, f"{'not run' if _is_of_one_cell(error) else 'device lost'}: {error}")
            continue
        lost.in_a_row.clear()
        table.writer.add(measurement)
        table.progress.step(job.cell.key, _outcome(measurement))


def _outcome(measurement: Measurement) -> str:
    if measurement.latency is None:
        return f"{measurement.status.value}: {measurement.reason}"
    return f"{measurement.latency.median_ns / 1e6:.3f} ms"
