"""The profile of the operators: a launch after the others that no figure comes from, and that can cost nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.devices.device import Execution
from harness.errors import DeviceError
from harness.measure.operators import undisturbed
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus, Measurement
from harness.records.operators import Operator
from harness.wire import (
    Delegate,
    Format,
    NodesLeft,
    OperatorTime,
    Passes,
    ProfileFacts,
    ProfilePass,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    RunRequest,
)
from tests.measure.cells import CRASH, Play, Scripted, bad, job, ok, run

CONV = OperatorTime(name="conv", kind="Conv", samples_ns=(500, 510, 9_000, 490), ran_on="xnnpack")
POOL = OperatorTime(name="pool", kind="Pool", samples_ns=(100, 100, 100, 100), ran_on="cpu", reason="no kernel")
FACTS = ProfileFacts(source="runtime 1.0", calls_ns=(700, 710, 9_200, 690))


def replies(profile: RunReply) -> Play:
    """A device whose launches are good, and whose launch of the profile gives what ``profile`` has."""

    def play(request: RunRequest) -> RunReply:
        if request.passes.profile is None:
            return ok()(request)
        return replace(profile, cell=request.cell, launch=request.launch)

    return play


def profile_reply(*operators: OperatorTime, facts: ProfileFacts | None = FACTS) -> RunReply:
    runner = RunnerInfo(kind="fake", version="1")
    return RunReply(cell="", launch=0, status=ReplyStatus.OK, runner=runner, profile=operators, profile_facts=facts)


def measured(tmp_path: Path, device: Scripted, *, delegate: Delegate = Delegate.XNNPACK) -> Measurement:
    one = replace(job(tmp_path), operators=True)
    return run(replace(one, cell=replace(one.cell, delegate=delegate, format=Format.TFLITE)), device)


def test_the_profile_is_a_launch_of_its_own_after_the_others(tmp_path: Path) -> None:
    device = Scripted(replies(profile_reply(CONV)))
    found = measured(tmp_path, device)
    passes = [request.passes for request in device.requests]
    assert [p.profile is not None for p in passes] == [False] * (len(passes) - 1) + [True]
    assert passes[-1] == Passes(profile=ProfilePass(calls=50))
    assert len({request.launch for request in device.requests}) == len(device.requests)
    assert len(found.launches) == len(passes) - 1


def test_no_figure_changes_with_the_profile(tmp_path: Path) -> None:
    device = Scripted(replies(profile_reply(CONV, POOL)))
    with_it = measured(tmp_path, device)
    one = job(tmp_path)
    without = run(replace(one, cell=replace(one.cell, delegate=Delegate.XNNPACK, format=Format.TFLITE)), Scripted(ok()))
    assert without.operators is None
    assert replace(with_it, operators=None) == without


@pytest.mark.parametrize(
    ("sample_ns", "calls"), [(1_000_003, 50), (40_000_003, 25), (400_000_003, 3), (9_000_000_007, 3)]
)
def test_a_slow_model_is_profiled_for_fewer_calls(tmp_path: Path, sample_ns: int, calls: int) -> None:
    def play(request: RunRequest) -> RunReply:
        return (replies(profile_reply()) if request.passes.profile else ok((sample_ns,) * 20))(request)

    device = Scripted(play)
    measured(tmp_path, device)
    assert device.requests[-1].passes.profile == ProfilePass(calls=calls)


def test_the_record_has_sums_places_and_reasons_of_undisturbed_calls(tmp_path: Path) -> None:
    device = Scripted(replies(profile_reply(CONV, POOL)))
    profile = measured(tmp_path, device).operators
    assert profile is not None
    assert (profile.source, profile.calls, profile.call_ns, profile.reason) == ("runtime 1.0", 3, 700, "")
    # The third call took 13 times the median, so its times are left out: 500 + 510 + 490, and three of pool's four.
    assert profile.operators == (
        Operator(name="conv", kind="Conv", calls=3, total_ns=1500, ran_on="xnnpack", delegated=True),
        Operator(name="pool", kind="Pool", calls=3, total_ns=300, ran_on="cpu", delegated=False, reason="no kernel"),
    )
    assert profile.reply_sha256


@pytest.mark.parametrize(
    ("calls_ns", "samples", "kept"),
    [
        ((10, 10, 16, 10), 4, (0, 1, 3)),
        ((10, 10, 15, 10), 4, (0, 1, 2, 3)),
        ((10, 10, 99, 10), 8, (0, 1, 3)),
        # An operator that ran another number of times in one call: its times cannot be told apart by call.
        ((10, 10, 99, 10), 5, (0, 1, 2, 3)),
        ((), 4, ()),
    ],
)
def test_calls_that_other_work_interrupted_are_left_out(
    calls_ns: tuple[int, ...], samples: int, kept: tuple[int, ...]
) -> None:
    assert undisturbed(calls_ns, [OperatorTime(name="a", kind="A", samples_ns=(1,) * samples)]) == kept


@pytest.mark.parametrize(
    ("delegate", "ran_on", "delegated"),
    [
        (Delegate.XNNPACK, "xnnpack", True),
        (Delegate.XNNPACK, "cpu", False),
        (Delegate.XNNPACK, "", None),
        (Delegate.CPU, "cpu", None),
        (Delegate.GPU, "QNN", False),
    ],
)
def test_an_operator_is_delegated_if_the_requested_delegate_ran_it(
    tmp_path: Path, delegate: Delegate, ran_on: str, delegated: bool | None
) -> None:
    device = Scripted(replies(profile_reply(replace(CONV, ran_on=ran_on))))
    profile = measured(tmp_path, device, delegate=delegate).operators
    assert profile is not None
    assert [operator.delegated for operator in profile.operators] == [delegated]


def test_the_means_of_another_program_become_sums(tmp_path: Path) -> None:
    told = OperatorTime(name="a:1", kind="CONV_2D", samples_ns=(), mean_ns=2_000, ran_on="xnnpack")
    profile = measured(tmp_path, Scripted(replies(profile_reply(told, facts=None)))).operators
    assert profile is not None
    assert (profile.calls, profile.reason) == (50, "")
    assert (profile.operators[0].calls, profile.operators[0].total_ns) == (50, 100_000)
    assert profile.operators[0].delegated


def test_a_profile_that_crashes_costs_the_profile_alone(tmp_path: Path) -> None:
    def play(request: RunRequest) -> RunReply:
        return (bad() if request.passes.profile else ok())(request)

    found = measured(tmp_path, Scripted(play))
    assert (found.status, found.failure) == (CellStatus.OK, None)
    assert found.latency
    assert found.operators is not None
    assert found.operators.reason == f"the launch of the profile failed: {CRASH.message}"


def test_a_device_that_is_gone_after_measuring_costs_the_profile_alone(tmp_path: Path) -> None:
    class Gone(Scripted):
        def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
            if request.passes.profile is not None:
                msg = "the phone is gone"
                raise DeviceError(msg)
            return super().execute(request, inputs, deadline_s)

    found = measured(tmp_path, Gone(ok()))
    assert found.latency
    assert found.operators is not None
    assert "the phone is gone" in found.operators.reason


def test_a_cell_that_fails_is_not_profiled(tmp_path: Path) -> None:
    device = Scripted(bad())
    assert measured(tmp_path, device).operators is None
    assert all(request.passes.profile is None for request in device.requests)


def test_a_runner_of_an_earlier_version_says_less(tmp_path: Path) -> None:
    old = replace(CONV, ran_on="", samples_ns=(5, 6))
    profile = measured(tmp_path, Scripted(replies(profile_reply(old, facts=None)))).operators
    assert profile is not None
    assert (profile.source, profile.calls, profile.call_ns) == ("fake", 50, None)
    assert (profile.operators[0].calls, profile.operators[0].total_ns) == (2, 11)
    empty = measured(tmp_path, Scripted(replies(profile_reply(facts=None)))).operators
    assert empty is not None
    assert empty.reason == "the runner reports no times of single operators"


@pytest.mark.parametrize(
    ("left", "summary"),
    [
        # What the runtime lists itself is known without a profile.
        ((NodesLeft(kind="TOPK_V2", nodes=2),), "ran partly on xnnpack: 12 of 14 nodes, not 2 TOPK_V2"),
        ((), "ran partly on xnnpack: 12 of 14 nodes, not 1 Pool"),
        (
            tuple(NodesLeft(kind=kind, nodes=1) for kind in "ABCDE"),
            "ran partly on xnnpack: 12 of 14 nodes, not 1 A, 1 B, 1 C and 2 other types",
        ),
    ],
)
def test_partial_names_what_fell_back(tmp_path: Path, left: tuple[NodesLeft, ...], summary: str) -> None:
    plays = replies(profile_reply(CONV, POOL))

    def play(request: RunRequest) -> RunReply:
        reply = plays(request)
        if reply.runtime is None:
            return reply
        runtime = replace(reply.runtime, delegate_used="xnnpack", nodes_total=14, nodes_delegated=12, nodes_left=left)
        return replace(reply, runtime=runtime)

    found = measured(tmp_path, Scripted(play))
    assert [c.summary for c in found.conditions if c.id is ConditionId.PARTIAL] == [summary]


def test_the_measurement_of_a_profiled_cell_can_be_stored_and_read(tmp_path: Path) -> None:
    found = measured(tmp_path, Scripted(replies(profile_reply(CONV, POOL))))
    data = msgspec.json.encode(found)
    assert msgspec.json.decode(data, type=Measurement) == found
    assert [operator["kind"] for operator in json.loads(data)["operators"]["operators"]] == ["Conv", "Pool"]
