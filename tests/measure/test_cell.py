"""One cell on one device: what becomes of replies, and when launches stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.manifest import Artifact
from harness.errors import StoreError
from harness.measure.cell import launch_once, measure, unmeasured
from harness.measure.gate import Gate
from harness.measure.request import make_request
from harness.records.measurement import CellStatus
from harness.spec.profiles import PROFILES, ProfileName
from harness.wire import (
    DeviceStates,
    Failure,
    FailureKind,
    LatencySamples,
    LoadTimes,
    MemoryReading,
    ReplyStatus,
    StateSample,
)
from tests.artifacts.builders import make_manifest
from tests.measure.cells import (
    CRASH,
    Kept,
    Play,
    Scripted,
    bad,
    job,
    ok,
    run,
)


def test_a_good_cell_has_everything(tmp_path: Path) -> None:
    work = job(tmp_path)
    found = run(work, Scripted(ok()))
    assert (found.cell, found.status, found.failure, found.reason) == (work.cell.key, CellStatus.OK, None, None)
    assert (found.started_at, found.ended_at) == ("time 0", "time 1")
    assert found.artifact is not None
    assert (found.artifact.bytes, found.artifact.sqnr_db) == (11, 40.0)
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.launches, found.latency.calls) == (1003, 5, 1000)
    assert found.load is not None
    assert (found.load.first_ns, found.load.first_inference_ns) == pytest.approx((5002, 9002), abs=0.001)
    assert [launch.index for launch in found.launches] == [0, 1, 2, 3, 4]
    assert (found.accuracy, found.fidelity, found.memory, found.outputs_sha256) == (None, None, None, None)


def test_every_reply_is_kept_under_the_digest_that_its_launch_names(tmp_path: Path) -> None:
    keeper = Kept()
    found = run(job(tmp_path), Scripted(ok()), keeper)
    assert {f"{launch.reply_sha256}.json" for launch in found.launches} == set(keeper.data)
    assert len(keeper.data) == 5


def test_a_request_says_what_the_profile_says(tmp_path: Path) -> None:
    work = job(tmp_path)
    request = make_request(work, 3)
    assert request.passes.latency is not None
    assert request.passes.memory is not None
    assert (request.cell, request.launch, request.artifact.file) == (work.cell.key, 3, "model.onnx")
    assert (request.passes.latency.warmup.min_calls, request.passes.latency.measure.min_calls) == (10, 100)
    assert (request.passes.memory.calls, request.inputs.count) == (20, 5)


@pytest.mark.parametrize(
    ("profile", "spread", "launches"),
    [(ProfileName.QUICK, 300, 1), (ProfileName.STANDARD, 1, 5), (ProfileName.STANDARD, 300, 20)],
)
def test_launches_stop_when_the_interval_is_narrow(
    tmp_path: Path, profile: ProfileName, spread: int, launches: int
) -> None:
    plays = [ok((1000 + spread * (at % 2),) * 200) for at in range(20)]
    found = run(job(tmp_path, profile), Scripted(*plays))
    assert found.latency is not None
    assert found.latency.launches == len(found.launches) == launches


@pytest.mark.parametrize("launches", [1, 2, 7])
def test_a_number_of_launches_overrides_the_stop_rule(tmp_path: Path, launches: int) -> None:
    device = Scripted(ok())
    found = run(job(tmp_path, launches=launches), device)
    assert [request.launch for request in device.requests] == list(range(launches))
    assert found.latency is not None
    assert found.latency.launches == launches
    assert (found.latency.low_ns is None) is (launches == 1)


def test_a_failure_in_the_third_launch_keeps_the_first_two(tmp_path: Path) -> None:
    keeper = Kept()
    found = run(job(tmp_path), Scripted(ok(), ok((1200,) * 200), bad()), keeper)
    assert (found.status, found.reason, found.failure) == (CellStatus.FAILED, CRASH.message, CRASH)
    assert [(launch.index, launch.median_ns) for launch in found.launches] == [(0, 1003), (1, 1200)]
    assert (found.latency, found.accuracy, len(keeper.data)) == (None, None, 3)
    assert found.artifact is not None


def test_what_a_device_cannot_do_is_unsupported(tmp_path: Path) -> None:
    failure = Failure(kind=FailureKind.DELEGATE, message="no such delegate here")
    found = run(job(tmp_path), Scripted(bad(failure, ReplyStatus.UNSUPPORTED)))
    assert (found.status, found.reason, found.launches) == (CellStatus.UNSUPPORTED, failure.message, ())


REFUSED = Failure(kind=FailureKind.DELEGATE, message="no such delegate here")


def refused(seconds: float | None, **changes: Any) -> Play:
    """A launch on a delegate that the phone lacks; ``None`` if the runner does not report how long it took."""
    at = [StateSample(at_ns=round(1e9 * moment)) for moment in (5, 5 + (seconds or 0))]
    state = None if seconds is None else DeviceStates(before=at[0], after=at[1])
    hole: dict[str, Any] = {"status": ReplyStatus.UNSUPPORTED, "failure": REFUSED, "latency": None, "load": None}
    return ok(**{**hole, "state": state, **changes})


@pytest.mark.parametrize(
    ("play", "rests"),
    [
        (refused(0.1), [10.0]),
        (refused(30), [10.0, 10.0]),
        (refused(None), [10.0, 10.0]),
        (refused(0.1, load=LoadTimes(first_ns=9)), [10.0, 10.0]),
        (refused(0.1, status=ReplyStatus.FAILED), [10.0, 10.0]),
    ],
)
def test_a_phone_does_not_rest_again_after_a_launch_that_was_refused_at_once(
    tmp_path: Path, play: Play, rests: list[float]
) -> None:
    class Phone(Scripted):
        passively_cooled = True

    work, phone = job(tmp_path, ProfileName.QUICK), Phone(ok(), play, ok())
    gate = Gate(phone)
    for _ in range(3):
        measure(work, phone, Kept(), lambda: "now", gate=gate)
    assert phone.rests == rests


@pytest.mark.parametrize("samples", [None, ()])
def test_a_reply_without_samples_is_a_failed_cell(tmp_path: Path, samples: tuple[int, ...] | None) -> None:
    play = ok(latency=None) if samples is None else ok(samples)
    found = run(job(tmp_path), Scripted(ok(), play))
    assert (found.status, found.reason) == (CellStatus.FAILED, "the runner measured no latency")
    assert len(found.launches) == 1


def test_a_runner_that_tells_no_load_time_has_none(tmp_path: Path) -> None:
    found = run(job(tmp_path), Scripted(ok(load=None)))
    assert (found.status, found.load) == (CellStatus.OK, None)


def test_memory_is_one_reading_that_of_the_middle_peak(tmp_path: Path) -> None:
    readings = [
        MemoryReading(
            definition="d", baseline_bytes=1, loaded_bytes=at, steady_bytes=2, peak_bytes=peak, retained_bytes=None
        )
        for at, peak in enumerate((50, 70, 60))
    ]
    found = run(job(tmp_path, launches=3), Scripted(*(ok(memory=reading) for reading in readings)))
    assert found.memory == readings[2]
    assert [launch.memory_growth_bytes for launch in found.launches] == [49, 69, 59]


def test_a_sustained_launch_is_summarised_by_the_minute(tmp_path: Path) -> None:
    minute = 60_000_000_000
    samples = LatencySamples(first_ns=1, warmup_ns=(), samples_ns=(100, 110, 150), at_ns=(0, 5, 2 * minute))
    found = run(job(tmp_path, ProfileName.SUSTAINED), Scripted(ok(latency=samples)))
    assert found.latency is not None
    assert [(m.minute, m.median_ns, m.calls) for m in found.latency.over_time] == [(1, 105.0, 2), (3, 150.0, 1)]


def test_warm_up_is_trimmed_from_the_figures(tmp_path: Path) -> None:
    found = run(job(tmp_path, launches=1), Scripted(ok((1500,) * 80 + (1000,) * 120)))
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls, found.launches[0].calls) == (1000, 120, 120)
    assert found.launches[0].steady_state == "warmup"


def test_the_deadline_is_beyond_anything_that_can_go_well(tmp_path: Path) -> None:
    device = Scripted(ok())
    run(job(tmp_path, launches=1), device)
    run(job(tmp_path, launches=1, timeout_s=7.0), device)
    assert device.deadlines[0] > 2 * PROFILES[ProfileName.STANDARD].cap_ns / 1e9
    assert device.deadlines[1] == 7.0


def test_an_artifact_that_changed_since_it_was_built_does_not_run(tmp_path: Path) -> None:
    work, device = job(tmp_path), Scripted(ok())
    assert work.artifact.path is not None
    work.artifact.path.write_bytes(b"another one")
    with pytest.raises(StoreError, match="has changed: got sha256 .* build it again"):
        run(work, device)
    assert device.requests == []


def test_an_artifact_that_was_not_made_is_a_failed_cell(tmp_path: Path) -> None:
    work = job(tmp_path, artifact=Artifact(manifest=make_manifest(), path=None))
    assert run(work, Scripted(ok())).status is CellStatus.FAILED
    measurement = unmeasured(work.cell, CellStatus.BROKEN, "no good", lambda: "now")
    assert (measurement.cell, measurement.status) == (work.cell.key, CellStatus.BROKEN)
    assert (measurement.reason, measurement.ended_at) == ("no good", "now")


def test_trying_once_asks_for_one_output_and_no_times(tmp_path: Path) -> None:
    device = Scripted(ok())
    assert launch_once(job(tmp_path), device).status is ReplyStatus.OK
    (request,) = device.requests
    assert request.passes.outputs is not None
    assert (request.passes.outputs.count, request.passes.latency, request.passes.memory) == (1, None, None)
