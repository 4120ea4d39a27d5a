"""Scripted phones that note every launch in a file, and short cells for them."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.devices.device import Device, Execution
from harness.devices.fake.fake import FakePhone, open_fake
from harness.measure.job import Job
from harness.plan.cells import make_cell
from harness.records.measurement import Measurement
from harness.spec.phone_settings import PhoneSettings
from harness.spec.profiles import ProfileName
from harness.wire import RunRequest
from tests.measure.cells import Kept, job


@dataclass
class Stored(Kept):
    """A sink that remembers what was stored, in order."""

    measurements: list[Measurement] = field(default_factory=list)

    def add(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def add_all(self, measurements: Iterable[Measurement]) -> None:
        for measurement in measurements:
            self.add(measurement)

    @property
    def cells(self) -> list[str]:
        return [measurement.cell for measurement in self.measurements]


def short_jobs(folder: Path, devices: list[str], each: int) -> list[Job]:
    """Return ``each`` cells for every device, whose launches are as short as a scripted phone's can be."""
    one = job(folder, ProfileName.QUICK)
    profile = replace(one.profile, warmup_calls=1, warmup_ns=1, measure_calls=20, measure_ns=1, memory_calls=1)
    return [
        replace(
            one,
            profile=profile,
            cell=make_cell("tiny", f"v{number}", one.cell.format, one.cell.delegate, 1, device, ProfileName.QUICK),
        )
        for number in range(each)
        for device in devices
    ]


class NotedPhone(FakePhone):
    """A scripted phone whose launches take real time, and that appends their starts and ends to a file."""

    def __init__(self, key: str, log: Path, seconds: float) -> None:
        super().__init__(key)
        self._log, self._seconds = log, seconds

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        self._note("start", request)
        if self._seconds:
            time.sleep(self._seconds)
        execution = super().execute(request, inputs, deadline_s)
        self._note("end", request)
        return execution

    def _note(self, what: str, request: RunRequest) -> None:
        line = f"{what} {self.info.key} {request.cell} {os.getpid()}\n"
        # One write to a file that is only appended to: lines of several processes never mix.
        handle = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode())
        os.close(handle)


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Opens phones that note their launches in ``log``."""

    log: Path
    seconds: float = 0.0

    @contextlib.contextmanager
    def open(self, key: str, settings: PhoneSettings) -> Iterator[Device]:
        del settings
        phone = NotedPhone(key, self.log, self.seconds)
        try:
            yield phone
        finally:
            phone.clean()


open_plain = open_fake


def launches(log: Path) -> list[tuple[str, ...]]:
    """Return what the phones noted: what, device, cell, process."""
    return [tuple(line.split()) for line in log.read_text().splitlines()] if log.exists() else []


def overlaps(log: Path) -> list[str]:
    """Return the cells that started on a device while another was still running there.

    A launch whose process was killed has no end: the next start on its device comes from another process.
    """
    running: dict[str, tuple[str, str]] = {}
    wrong = []
    for what, device, cell, process in launches(log):
        before = running.get(device)
        if what == "start":
            if before is not None and before[1] == process:
                wrong.append(cell)
            running[device] = cell, process
        elif before is not None and before == (cell, process):
            del running[device]
        else:
            wrong.append(cell)
    return wrong


def ends(log: Path) -> dict[str, int]:
    """Return how many launches of each cell ended."""
    counts: dict[str, int] = defaultdict(int)
    for what, _, cell, _ in launches(log):
        counts[cell] += what == "end"
    return dict(counts)
