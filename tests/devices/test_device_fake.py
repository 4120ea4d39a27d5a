"""The scripted phone: its figures, and each of its faults."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.devices.device import Execution
from harness.devices.fake import fake
from harness.devices.fake.fake import Character, FakePhone
from harness.devices.registry import open_device
from harness.errors import DeviceError
from harness.records.conditions import ConditionId
from harness.wire import Delegate, FailureKind, ReplyStatus, RunRequest, decode_reply

DOCUMENT = Path(__file__).parents[2] / "docs" / "devices.md"


def launch(parcel: Any, key: str = "fake", *, times: int = 1, request: RunRequest | None = None) -> Execution:
    """Push once, execute ``times`` times, and return the last execution."""
    with open_device(key) as device:
        device.push(parcel.path, parcel.sha256)
        for _ in range(times - 1):
            device.execute(request or parcel.request, parcel.inputs, 10)
        return device.execute(request or parcel.request, parcel.inputs, 10)


def median_ns(execution: Execution) -> float:
    assert execution.reply.latency is not None
    return statistics.median(execution.reply.latency.samples_ns)


def ids(phone: FakePhone) -> list[ConditionId]:
    return [condition.id for condition in phone.conditions()]


def test_a_healthy_phone_gives_what_was_asked(parcel: Any) -> None:
    execution = launch(parcel)
    reply = execution.reply
    assert decode_reply(execution.reply_bytes) == reply
    assert (reply.status, reply.cell, reply.launch) == (ReplyStatus.OK, "net-fp32", 1)
    assert reply.latency is not None
    assert (len(reply.latency.warmup_ns), len(reply.latency.samples_ns)) == (3, 60)
    assert reply.memory is not None
    assert "simulated" in reply.memory.definition


def test_it_has_no_outputs_because_it_runs_no_model(parcel: Any) -> None:
    execution = launch(parcel)
    assert (execution.outputs, execution.reply.outputs) == (None, None)


def test_the_same_launch_plays_the_same_and_another_does_not(parcel: Any) -> None:
    assert launch(parcel).reply == launch(parcel).reply
    other = replace(parcel.request, launch=2)
    assert launch(parcel, request=other).reply.latency != launch(parcel).reply.latency


def test_a_pass_that_was_not_asked_for_is_none(parcel: Any) -> None:
    passes = replace(parcel.request.passes, latency=None)
    assert launch(parcel, request=replace(parcel.request, passes=passes)).reply.latency is None


@pytest.mark.parametrize(("faster", "slower"), [("fake:high", "fake"), ("fake", "fake:low")])
def test_phones_differ_in_speed(faster: str, slower: str, parcel: Any) -> None:
    assert median_ns(launch(parcel, faster)) < median_ns(launch(parcel, slower)) / 1.5


def test_more_threads_and_a_delegate_are_faster(parcel: Any) -> None:
    runtime = parcel.request.runtime
    plain = replace(parcel.request, runtime=replace(runtime, delegate=Delegate.CPU))
    threaded = replace(parcel.request, runtime=replace(runtime, threads=4))
    assert median_ns(launch(parcel)) < median_ns(launch(parcel, request=plain))
    assert median_ns(launch(parcel, request=threaded)) < median_ns(launch(parcel))


@pytest.mark.parametrize("character", list(Character))
def test_everything_bears_the_mark_of_a_simulation(character: Character) -> None:
    assert ConditionId.SIMULATED in ids(FakePhone(f"fake:{character.value}".rstrip(":")))


def test_a_hot_phone_says_so_and_slows_down(parcel: Any) -> None:
    phone = FakePhone("fake:hot")
    phone.push(parcel.path, parcel.sha256)
    assert ConditionId.THERMAL not in ids(phone)
    first = phone.execute(parcel.request, parcel.inputs, 10)
    third = [phone.execute(parcel.request, parcel.inputs, 10) for _ in range(2)][-1]
    assert ConditionId.THERMAL in ids(phone)
    assert median_ns(third) > 1.1 * median_ns(first)
    assert third.reply.state is not None
    assert third.reply.state.after.thermal_status == "moderate"


def test_a_low_battery_is_a_condition(parcel: Any) -> None:
    assert ConditionId.LOW_BATTERY in ids(FakePhone("fake:low-battery"))
    state = launch(parcel, "fake:low-battery").reply.state
    assert state is not None
    assert state.before.battery_percent == 12


def test_a_fallback_is_reported(parcel: Any) -> None:
    runtime = launch(parcel, "fake:fallback").reply.runtime
    assert runtime is not None
    assert (runtime.delegate_requested, runtime.delegate_used, runtime.nodes_delegated) == ("xnnpack", "cpu", 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("crash", FailureKind.CRASH),
        ("hang", FailureKind.TIMEOUT),
        ("oom", FailureKind.OOM),
        ("half-reply", FailureKind.REPLY),
        ("rubbish", FailureKind.REPLY),
        ("stale", FailureKind.REPLY),
    ],
)
def test_a_fault_is_a_failed_reply(name: str, kind: FailureKind, parcel: Any) -> None:
    execution = launch(parcel, f"fake:{name}")
    assert execution.reply.status is ReplyStatus.FAILED
    assert execution.reply.failure is not None
    assert execution.reply.failure.kind is kind
    assert execution.reply.latency is None
    assert decode_reply(execution.reply_bytes) == execution.reply


def test_a_lost_phone_answers_twice_and_never_again(parcel: Any) -> None:
    assert launch(parcel, "fake:lost", times=2).reply.status is ReplyStatus.OK
    with pytest.raises(DeviceError, match="cable"):
        launch(parcel, "fake:lost", times=3)


def test_a_full_phone_takes_no_artifact(parcel: Any) -> None:
    with pytest.raises(DeviceError, match="no space for 'net.tflite'"):
        launch(parcel, "fake:full")


def test_other_bytes_than_the_digest_are_refused(parcel: Any) -> None:
    with pytest.raises(DeviceError, match="0000"):
        FakePhone().push(parcel.path, "0" * 64)


def test_an_artifact_that_was_not_pushed_cannot_run(parcel: Any) -> None:
    with pytest.raises(DeviceError, match="push it"):
        FakePhone().execute(parcel.request, parcel.inputs, 10)


def test_cleaning_removes_the_artifacts(parcel: Any) -> None:
    phone = FakePhone()
    assert [phone.push(parcel.path, parcel.sha256) for _ in range(2)] == [True, False]
    phone.clean()
    assert phone.push(parcel.path, parcel.sha256)


@pytest.mark.parametrize("name", [character.value for character in Character if character.value])
def test_every_scripted_phone_is_documented(name: str) -> None:
    assert f"`fake:{name}`" in DOCUMENT.read_text(encoding="utf-8")
    assert f"    {name}" in (fake.__doc__ or "") or f", {name} " in (fake.__doc__ or "")
