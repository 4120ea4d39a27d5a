"""Jobs on several devices: phones run side by side, others in turn, and a lost device costs no more than it must."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.devices.device import Execution
from harness.errors import DeviceError, PhoneError, PhoneTrouble, StoreError
from harness.measure.gate import Gate
from harness.measure.job import Job
from harness.measure.parallel import Losses, Setup, measure_jobs
from harness.plan.cells import make_cell
from harness.progress import Silent
from harness.spec.profiles import ProfileName
from harness.store.writer import RunWriter
from harness.wire import Delegate, Format, RunRequest
from tests.measure.cells import Scripted, job, ok
from tests.store.test_store import known, written


class Meeting(Scripted):
    """A device whose launches wait until as many devices launch as the barrier expects."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__(ok())
        self._barrier = barrier

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        self._barrier.wait(timeout=20)
        return super().execute(request, inputs, deadline_s)


class Failing(Scripted):
    """A device whose pushes raise the error that ``fail`` returns for the number of the push."""

    def __init__(self, fail: Callable[[int], Exception | None]) -> None:
        super().__init__(ok())
        self._fail, self.pushes = fail, 0

    def push(self, path: Path, sha256: str) -> bool:
        self.pushes += 1
        error = self._fail(self.pushes)
        if error is not None:
            raise error
        return super().push(path, sha256)


class Unrestorable(Failing):
    """A failing device that cannot be cleaned either."""

    def clean(self) -> None:
        msg = "it does not answer"
        raise DeviceError(msg)


class Waiting(Scripted):
    """A device whose launch ends only when the device is cleaned."""

    def __init__(self) -> None:
        super().__init__(ok())
        self.entered, self.cleaned = threading.Event(), threading.Event()

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        self.entered.set()
        assert self.cleaned.wait(timeout=20)
        msg = f"{request.cell} with {inputs.name} was closed before {deadline_s} s"
        raise DeviceError(msg)

    def clean(self) -> None:
        self.cleaned.set()


class Outcomes(Silent):
    """A progress that records what it is given for each cell."""

    def __init__(self) -> None:
        self.by_cell: dict[str, str] = {}

    def step(self, unit: str, outcome: str) -> None:
        self.by_cell[unit] = outcome


def jobs(folder: Path, *devices: str, count: int = 3) -> list[Job]:
    """``count`` cells per device, each of one launch."""
    one = replace(job(folder, ProfileName.QUICK), launches=1)
    return [
        replace(one, cell=make_cell("tiny", f"v{n}", Format.ONNX, Delegate.CPU, 1, device, ProfileName.QUICK))
        for device in devices
        for n in range(count)
    ]


def setup(writer: RunWriter, devices: dict[str, Any]) -> Setup:
    return Setup(gates={key: Gate(device) for key, device in devices.items()}, sink=writer, progress=Silent())


def lost(trouble: PhoneTrouble) -> PhoneError:
    return PhoneError(f"it is {trouble.value}", trouble=trouble)


def test_phones_run_side_by_side_and_every_cell_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(3)
    devices = {f"android:{name}": Meeting(barrier) for name in "abc"}
    work = jobs(tmp_path, *devices)
    with written(tmp_path / "results") as writer:
        left = measure_jobs(work, setup(writer, devices))
    assert sorted(known(tmp_path / "results")) == sorted(item.cell.key for item in work)
    assert [lost.cells for lost in left] == [0, 0, 0]


def test_this_computer_runs_alone_before_the_phones(tmp_path: Path) -> None:
    devices = {key: Scripted(ok()) for key in ("android:a", "host", "android:b")}
    work = jobs(tmp_path, *devices, count=1)
    with written(tmp_path / "results") as writer:
        measure_jobs(work, setup(writer, devices))
    assert known(tmp_path / "results")[0] == work[1].cell.key


def test_one_phone_keeps_the_order_of_the_plan(tmp_path: Path) -> None:
    devices = {key: Scripted(ok()) for key in ("android:a", "host")}
    work = jobs(tmp_path, *devices)
    with written(tmp_path / "results") as writer:
        measure_jobs(work, setup(writer, devices))
    assert known(tmp_path / "results") == [item.cell.key for item in work]


def test_a_phone_that_goes_away_for_a_time_costs_the_cell_in_flight(tmp_path: Path) -> None:
    devices = {
        "android:a": Failing(lambda push: lost(PhoneTrouble.GONE) if push == 2 else None),
        "android:b": Scripted(ok()),
    }
    work = jobs(tmp_path, *devices)
    with written(tmp_path / "results") as writer:
        left = measure_jobs(work, setup(writer, devices))
    assert work[1].cell.key not in known(tmp_path / "results")
    assert len(known(tmp_path / "results")) == 5
    assert [lost.cells for lost in left] == [1, 0]


def test_a_phone_that_stays_away_is_given_up_and_the_other_continues(tmp_path: Path) -> None:
    gone = Failing(lambda _: lost(PhoneTrouble.GONE))
    devices = {"android:a": gone, "android:b": Scripted(ok())}
    with written(tmp_path / "results") as writer:
        left = measure_jobs(jobs(tmp_path, *devices, count=5), setup(writer, devices))
    assert gone.pushes == 2
    assert [lost.cells for lost in left] == [5, 0]
    assert len(known(tmp_path / "results")) == 5


@pytest.mark.parametrize("trouble", [PhoneTrouble.APP, PhoneTrouble.FULL])
def test_what_concerns_one_cell_does_not_cost_the_phone(tmp_path: Path, trouble: PhoneTrouble) -> None:
    phone = Failing(lambda push: lost(trouble) if push < 4 else None)
    work = jobs(tmp_path, "android:a", count=5)
    with written(tmp_path / "results") as writer:
        (left,) = measure_jobs(work, setup(writer, {"android:a": phone}))
    assert (left.cells, list(left.reasons)) == (3, [f"it is {trouble.value}"])
    assert known(tmp_path / "results") == [item.cell.key for item in work[3:]]


def test_an_unfit_device_is_not_called_lost(tmp_path: Path) -> None:
    hot = Failing(lambda push: DeviceError("it is too hot") if push == 1 else None)
    work, outcomes = jobs(tmp_path, "android:a", count=2), Outcomes()
    with written(tmp_path / "results") as writer:
        measure_jobs(work, replace(setup(writer, {"android:a": hot}), progress=outcomes))
    first, second = (outcomes.by_cell[item.cell.key] for item in work)
    assert first == "not run: it is too hot"
    assert second.endswith(" ms")


def test_a_disk_that_is_full_ends_every_phone_at_once(tmp_path: Path) -> None:
    waiting = Waiting()

    def fail(push: int) -> Exception | None:
        assert waiting.entered.wait(timeout=20)
        return StoreError(f"no space for {push}")

    devices = {"android:a": Unrestorable(fail), "android:b": waiting}
    with written(tmp_path / "results") as writer, pytest.raises(StoreError, match="no space for 1"):
        measure_jobs(jobs(tmp_path, *devices), setup(writer, devices))
    assert waiting.cleaned.is_set()
    assert known(tmp_path / "results") == []


def test_losses_in_a_row_are_those_since_the_last_cell_that_ran() -> None:
    left = Losses(device="fake")
    left.add(lost(PhoneTrouble.GONE))
    left.add(lost(PhoneTrouble.APP))
    assert (left.cells, left.in_a_row, list(left.reasons)) == (2, ["it is gone"], ["it is app"])
