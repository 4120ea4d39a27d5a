"""Conditions that make the figures of a cell less trustworthy are stored with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.records.artifact import CalibrationSource
from harness.records.conditions import Condition, ConditionId
from harness.records.device import Readiness
from harness.records.measurement import GateOutcome
from harness.spec.profiles import ProfileName
from harness.wire import (
    Accelerator,
    Delegate,
    DeviceStates,
    RunReply,
    RunRequest,
    StateSample,
)
from tests.artifacts.builders import CARD
from tests.measure.cells import (
    SLOWED,
    STEADY,
    Scripted,
    ids,
    job,
    ok,
    run,
)


def test_nnapi_is_called_deprecated(tmp_path: Path) -> None:
    one = job(tmp_path)
    found = run(replace(one, cell=replace(one.cell, delegate=Delegate.NNAPI)), Scripted(ok()))
    assert ConditionId.DEPRECATED in ids(found)
    assert ConditionId.DEPRECATED not in ids(run(one, Scripted(ok())))


@pytest.mark.parametrize(("highest", "thermal"), [(0.9, set()), (1.05, {ConditionId.THERMAL}), (None, set())])
def test_a_phone_at_the_end_of_its_thermal_headroom_is_a_condition(
    tmp_path: Path, highest: float | None, thermal: set[ConditionId]
) -> None:
    cool, hot, unknown = (StateSample(at_ns=0, thermal_headroom=value) for value in (0.4, highest, None))
    found = run(job(tmp_path), Scripted(ok(state=DeviceStates(before=cool, after=unknown, series=(hot,)))))
    assert ids(found) == thermal
    assert {launch.thermal_headroom for launch in found.launches} == {highest or 0.4}


@pytest.mark.parametrize(
    ("total", "taken", "summaries"),
    [
        (50, 41, ["ran partly on xnnpack: 41 of 50 nodes"]),
        (50, 50, []),
        (50, 0, ["requested xnnpack, it took none of 50 nodes"]),
        (None, 41, []),
        (50, None, []),
    ],
)
def test_a_delegate_that_took_some_of_the_nodes_is_a_condition(
    tmp_path: Path, total: int | None, taken: int | None, summaries: list[str]
) -> None:
    def play(request: RunRequest) -> RunReply:
        reply = ok(used="xnnpack")(request)
        assert reply.runtime is not None
        return replace(reply, runtime=replace(reply.runtime, nodes_total=total, nodes_delegated=taken))

    work = job(tmp_path)
    found = run(replace(work, cell=replace(work.cell, delegate=Delegate.XNNPACK)), Scripted(play))
    assert [c.summary for c in found.conditions] == summaries


@pytest.mark.parametrize(
    ("accelerator", "summaries"),
    [
        (Accelerator(name="SwiftShader", software=True), ["no GPU: SwiftShader computes on the processor"]),
        (Accelerator(name="Mali-G715"), []),
        (None, []),
    ],
)
def test_a_driver_that_computes_on_the_processor_is_told_from_a_gpu(
    tmp_path: Path, accelerator: Accelerator | None, summaries: list[str]
) -> None:
    def play(request: RunRequest) -> RunReply:
        reply = ok()(request)
        assert reply.runtime
        return replace(reply, runtime=replace(reply.runtime, accelerator=accelerator))

    found = run(job(tmp_path), Scripted(play))
    assert [c.summary for c in found.conditions if c.id is ConditionId.SOFTWARE_GPU] == summaries


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ((1_000_000, 1_000_001) * 50, []),
        # Every value occurs many times, and two that follow each other are 0.1 ms apart.
        ((1_000_000, 1_100_000, 1_200_000) * 40, ["the runner's clock moves in steps of 10 % of a call"]),
        # One load, one first call and 101 samples, of which one is 0, in each of three launches.
        (
            (0, *(700, 1400, 2100, 2800) * 25),
            ["3 of 309 times are 0 ns: they took less than one step of the runner's clock"],
        ),
    ],
)
def test_a_clock_with_large_steps_is_a_condition(tmp_path: Path, samples: tuple[int, ...], said: list[str]) -> None:
    found = run(replace(job(tmp_path), launches=3), Scripted(ok(samples)))
    assert [c.summary for c in found.conditions if c.id is ConditionId.COARSE_CLOCK] == said


def test_samples_over_several_calls_have_a_condition_and_no_percentiles(tmp_path: Path) -> None:
    def play(request: RunRequest) -> RunReply:
        reply = ok(tuple(range(100_000, 100_200)))(request)
        assert reply.latency is not None
        return replace(reply, latency=replace(reply.latency, calls_per_sample=50))

    found = run(replace(job(tmp_path), launches=2), Scripted(play))
    (condition,) = [c for c in found.conditions if c.id is ConditionId.COARSE_CLOCK]
    assert condition.summary.endswith("each sample is the mean of up to 50 calls in a row")
    assert found.latency is not None
    assert found.latency.median_ns == 100_099.5
    assert found.latency.calls == 2 * 200 * 50
    assert (found.latency.p90_ns, found.latency.p99_ns, found.latency.variation) == (None, None, None)


def test_launches_at_two_speeds_are_a_condition_with_both_levels(tmp_path: Path) -> None:
    levels = [1_000_000 + 1000 * launch if launch % 3 else 2_500_000 + 1000 * launch for launch in range(20)]
    found = run(job(tmp_path), Scripted(*(ok((level,) * 100) for level in levels)))
    (condition,) = [c for c in found.conditions if c.id is ConditionId.TWO_SPEEDS]
    # Launches 0, 3, … 18 are slow. Two speeds never give a narrow interval, so all twenty launches are made.
    assert condition.summary == "launches ran at 2 speeds: 1.01 ms in 13 launches, 2.509 ms in 7"
    assert found.latency is not None
    assert found.latency.median_ns / 1e6 == pytest.approx(1.01, abs=0.001)
    assert found.latency.low_ns is None


def test_a_fallback_is_a_condition(tmp_path: Path) -> None:
    found = run(job(tmp_path), Scripted(ok(used="xnnpack")))
    assert ids(found) == {ConditionId.FALLBACK}
    assert found.conditions[0].summary == "requested cpu, ran on xnnpack"


@pytest.mark.parametrize(
    ("profile", "samples", "unsteady"),
    [
        (ProfileName.STANDARD, (1000,) * 80 + (1500,) * 120, True),
        (ProfileName.STANDARD, (1500,) * 80 + (1000,) * 120, False),
        (ProfileName.STANDARD, STEADY, False),
        (ProfileName.QUICK, (1000,) * 80 + (1500,) * 120, False),
    ],
)
def test_a_launch_that_slows_down_is_a_condition(
    tmp_path: Path, profile: ProfileName, samples: tuple[int, ...], unsteady: bool
) -> None:
    found = run(job(tmp_path, profile, launches=2), Scripted(ok(), ok(samples)))
    summaries = [c.summary for c in found.conditions if c.id is ConditionId.UNSTEADY]
    assert summaries == (["3 of 4 launches did not settle, left out of the figures"] if unsteady else [])


def test_a_launch_that_throttled_is_tried_again_and_never_averaged_in(tmp_path: Path) -> None:
    device = Scripted(ok(), ok(SLOWED), ok((1010,) * 200))
    found = run(job(tmp_path, launches=2), device)
    assert found.latency is not None
    assert (found.latency.launches, found.latency.calls, found.latency.tainted) == (2, 400, False)
    assert [(la.index, la.retry, la.tainted) for la in found.launches] == [
        (0, 0, ()), (1, 0, ("slowdown",)), (2, 1, ()),
    ]  # fmt: skip
    assert len(device.rests) == 1
    assert ConditionId.UNSTEADY in ids(found)


def test_a_cell_without_a_good_launch_says_so(tmp_path: Path) -> None:
    found = run(job(tmp_path, launches=4), Scripted(ok(SLOWED)))
    assert found.latency is not None
    assert found.latency.tainted
    # Three tries each for two launches, then the cell is taken for hopeless and the others get one.
    assert len(found.launches) == 3 + 3 + 1 + 1


def test_a_probe_that_is_slow_afterwards_discards_the_launch(tmp_path: Path) -> None:
    fast, slow = Readiness(probe_ns=100), Readiness(probe_ns=210)
    device = Scripted(ok(), readiness=[fast, slow, fast, fast])
    found = run(job(tmp_path, launches=1), device)
    assert [la.tainted for la in found.launches] == [("afterwards the processor took 2.10 times its best time",), ()]
    assert ConditionId.THROTTLED in ids(found)


def test_a_device_that_stays_busy_is_measured_and_flagged(tmp_path: Path) -> None:
    device = Scripted(ok(), readiness=[Readiness(busy=0.9)])
    found = run(job(tmp_path, launches=1), device)
    gate = found.launches[0].gate
    assert gate is not None
    assert (gate.outcome, gate.waited_s, gate.reasons) == (
        GateOutcome.TIMEOUT, 15, ("other work takes 90 % of the processor",),
    )  # fmt: skip
    assert ConditionId.GATE_TIMEOUT in ids(found)


@pytest.mark.parametrize(("name", "launches", "indicative"), [("mlperf", 1, True), ("mlperf", 5, False)])
def test_a_claim_needs_the_launches_that_the_profile_says(
    tmp_path: Path, name: str, launches: int, indicative: bool
) -> None:
    found = run(job(tmp_path, ProfileName(name), launches=launches), Scripted(ok()))
    assert (ConditionId.INDICATIVE in ids(found)) is indicative


def test_what_the_harness_knows_of_the_figures_is_a_condition(tmp_path: Path) -> None:
    plain = job(tmp_path, ProfileName.QUICK)
    manifest = replace(plain.artifact.manifest, calibration=CalibrationSource.RANDOM)
    model = PreparedModel(facts=replace(plain.model.facts, random_inputs=True), folder=plain.model.folder)
    artifact = replace(plain.artifact, manifest=manifest)
    work = replace(plain, artifact=artifact, model=model, card=replace(CARD, random_weights=True))
    assert ids(run(plain, Scripted(ok()))) == {ConditionId.INDICATIVE}
    assert ids(run(work, Scripted(ok()))) == {
        ConditionId.INDICATIVE,
        ConditionId.RANDOM_WEIGHTS,
        ConditionId.RANDOM_INPUTS,
        ConditionId.RANDOM_CALIBRATION,
    }


def test_conditions_of_the_device_are_those_of_all_launches(tmp_path: Path) -> None:
    seen = [Condition(id=id_, summary=id_) for id_ in (ConditionId.BUSY_HOST, ConditionId.THERMAL, ConditionId.THERMAL)]
    found = run(job(tmp_path), Scripted(ok(), conditions=seen))
    assert [c.id for c in found.conditions] == [ConditionId.BUSY_HOST, ConditionId.THERMAL]
