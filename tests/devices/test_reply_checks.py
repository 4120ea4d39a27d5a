"""A reply that cannot be true is refused, whatever it says of itself; an honest one is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.devices.replies import read_reply
from harness.records.conditions import ConditionId
from harness.wire import (
    FailureKind,
    LatencyPass,
    MeasurePass,
    OutputsPass,
    ProfilePass,
    ReplyStatus,
    RunRequest,
    WarmupPass,
)

SECOND = 10**9
# What the launch took on the driver's clock. The calls are to last 0.1 s.
TOOK = 2 * SECOND
Reply = dict[str, Any]


def asked(parcel: Any, **latency: Any) -> RunRequest:
    """Warm-up of 3 calls, 60 measured calls that last 0.1 s, capped at 10 s; two threads, no outputs."""
    phases = LatencyPass(
        warmup=WarmupPass(min_calls=3, min_ns=0),
        measure=MeasurePass(min_calls=60, min_ns=SECOND // 10, max_ns=10 * SECOND),
        **latency,
    )
    request: RunRequest = parcel.request
    runtime = replace(request.runtime, threads=2)
    return replace(request, runtime=runtime, passes=replace(request.passes, latency=phases))


def honest() -> Reply:
    """60 calls of 2 ms in a launch of 2 s."""
    return {
        "schema": 1,
        "cell": "net-fp32",
        "launch": 1,
        "status": "ok",
        "runner": {"kind": "acme", "version": "1"},
        "runtime": {
            "name": "acme",
            "version": "1",
            "delegate_requested": "xnnpack",
            "delegate_used": "xnnpack",
            "threads": 2,
            "nodes_total": 9,
            "nodes_delegated": 9,
            "partitions": 1,
        },
        "load": {"first_ns": 10**7},
        "latency": {"first_ns": 3 * 10**6, "warmup_ns": [2 * 10**6] * 3, "samples_ns": [2 * 10**6] * 60},
        "memory": {
            "definition": "d",
            "baseline_bytes": 100,
            "loaded_bytes": 200,
            "steady_bytes": 300,
            "peak_bytes": 300,
            "retained_bytes": 90,
        },
        "state": {"before": {"at_ns": 5}, "series": [{"at_ns": 7}], "after": {"at_ns": SECOND}},
    }


def told(**values: int) -> Reply:
    calls = {"calls": 50, "min_ns": 9, "p5_ns": 9, "median_ns": 10, "p95_ns": 12, "max_ns": 14, "mean_ns": 10} | values
    return {"samples_ns": [], "warmup_ns": [], "told": calls}


def why(reply: Reply, request: RunRequest, *, took_ns: int | None = TOOK) -> str | None:
    """Why ``reply`` is refused, None if it is believed."""
    execution = read_reply(json.dumps(reply).encode(), request, None, took_ns=took_ns)
    failure = execution.reply.failure
    if failure is None:
        assert execution.reply.status is ReplyStatus.OK
        return None
    assert failure.kind is FailureKind.REPLY
    return failure.message


def change(path: str, value: Any) -> Callable[[Reply], None]:
    *parents, last = path.split(".")

    def apply(reply: Reply) -> None:
        for name in parents:
            reply = reply[name]
        reply[last] = value

    return apply


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (change("runtime.threads", 99), "threads is 99, but 2 was requested"),
        (change("runtime.delegate_requested", "gpu"), "delegate_requested is 'gpu', but 'xnnpack' was requested"),
        (change("memory", None), "the requested memory pass is missing"),
        (change("profile", [{"name": "a", "kind": "b", "samples_ns": [1]}]), "a profile pass that was not requested"),
        (change("latency.samples_ns", []), "no samples"),
        (change("latency.samples_ns", [0] * 60), "60 of its 60 samples are 0 ns: its clock is too coarse"),
        (change("latency.samples_ns", [0] * 31 + [10**6] * 29), "31 of its 60 samples are 0 ns"),
        # 60 calls of 2 ms, in µs.
        (change("latency.samples_ns", [2000] * 60), "and 999999995 ns passed between its states"),
        (change("latency.samples_ns", [2 * 10**9] * 60), "its loads and calls take 120019000000 ns"),
        (change("latency.first_ns", 10**30), "but the whole launch took 2000000000 ns"),
        (change("load.first_ns", 3 * SECOND), "its loads and calls take 3129000000 ns"),
        (change("latency.calls_per_sample", 1000), "but the whole launch took"),
        (change("memory.peak_bytes", 299), "memory.peak_bytes is 299, which is below its steady_bytes of 300"),
        (change("memory.loaded_bytes", -1), "memory.loaded_bytes is -1"),
        (change("runtime.nodes_delegated", 10), "10 of 9 nodes on the delegate"),
        (change("runtime.partitions", -1), "in -1 partitions"),
        (change("state.after.at_ns", 6), "the runner's clock went backwards"),
        (change("state.after.at_ns", 3 * SECOND), "the time between its states take"),
    ],
)
def test_a_reply_that_cannot_be_true_is_refused(changed: Callable[[Reply], None], said: str, parcel: Any) -> None:
    reply = honest()
    changed(reply)
    message = why(reply, asked(parcel))
    assert message is not None
    assert said in message


@pytest.mark.parametrize(
    "changed",
    [
        change("latency.samples_ns", [0] * 29 + [4 * 10**6] * 31),
        change("latency.samples_ns", [1000] * 300),
        change("latency.calls_per_sample", 10),
        change("load", None),
        change("state", None),
        change("runtime", None),
        change("memory.peak_bytes", None),
        change("runtime.nodes_total", None),
        change("runtime.delegate_used", "cpu"),
    ],
)
def test_an_unusual_reply_that_can_be_true_is_believed(changed: Callable[[Reply], None], parcel: Any) -> None:
    reply = honest()
    assert why(reply, asked(parcel)) is None
    changed(reply)
    assert why(reply, asked(parcel)) is None


@pytest.mark.parametrize(
    ("latency", "took_ns", "said"),
    [
        ({}, TOOK, None),
        ({"samples_ns": [3 * 10**6] * 59}, TOOK, "the runner measured 59 calls, expected at least 60"),
        ({"warmup_ns": [10**6] * 2}, TOOK, "the runner made 2 calls to warm up, expected at least 3"),
        # The cap is 10 s, and after 11 s it may have been reached.
        ({"samples_ns": [3 * 10**6] * 59}, 11 * SECOND, None),
        ({"samples_ns": [10**5] * 60}, SECOND // 20, "the calls must last 0.1 s, but the launch took 0.05 s"),
        (
            {"samples_ns": [2000] * 60},
            TOOK,
            "the 60 samples add up to 120000 ns, but the calls must last 100000000 ns: are they in nanoseconds?",
        ),
        ({"samples_ns": [2000] * 60, "calls_per_sample": 2}, TOOK, None),
        (told(), TOOK, None),
    ],
)
def test_fewer_or_shorter_calls_than_requested_are_a_condition(
    latency: Reply, took_ns: int, said: str | None, parcel: Any
) -> None:
    reply = honest() | {"state": None, "load": None}
    reply["latency"] |= {"first_ns": 9} | latency
    execution = read_reply(json.dumps(reply).encode(), asked(parcel), None, took_ns=took_ns)
    assert execution.reply.failure is None
    assert [c.summary for c in execution.conditions] == ([] if said is None else [said])
    assert {c.id for c in execution.conditions} <= {ConditionId.CUT_SHORT}


def test_without_a_clock_outside_the_figures_are_checked_all_the_same(parcel: Any) -> None:
    reply = honest()
    change("state.after.at_ns", 300 * SECOND)(reply)
    assert why(reply, asked(parcel), took_ns=None) is None
    change("memory.peak_bytes", 0)(reply)
    assert "below its steady_bytes" in (why(reply, asked(parcel), took_ns=None) or "")


def test_pauses_between_the_calls_are_not_taken_for_another_unit(parcel: Any) -> None:
    reply = honest()
    change("latency.samples_ns", [2000] * 60)(reply)
    assert why(reply, asked(parcel, interval_ns=10**6)) is None


def test_with_a_stride_every_sample_has_its_start(parcel: Any) -> None:
    reply = honest()
    change("latency.samples_ns", [2 * 10**6] * 3)(reply)
    assert "no start times" in (why(reply, asked(parcel, stride_ns=10**7)) or "")
    change("latency.at_ns", [0, 10**7, 2 * 10**7])(reply)
    assert why(reply, asked(parcel, stride_ns=10**7)) is None
    change("latency.at_ns", [0, 10**7, 20 * SECOND])(reply)
    assert "the start of its last call" in (why(reply, asked(parcel, stride_ns=10**7)) or "")


def test_a_summary_in_place_of_samples_is_checked_like_them(parcel: Any) -> None:
    reply = honest()
    reply["latency"] |= told()
    assert why(reply, asked(parcel)) is None
    reply["latency"] |= told(min_ns=0)
    assert why(reply, asked(parcel)) is None
    reply["latency"] |= told(median_ns=0)
    assert "the median of its 50 calls is 0 ns" in (why(reply, asked(parcel)) or "")
    reply["latency"] |= told(mean_ns=SECOND)
    assert "but the whole launch took" in (why(reply, asked(parcel)) or "")


def test_requested_outputs_must_come_in_the_file_of_that_name(parcel: Any, tmp_path: Path) -> None:
    request, reply = asked(parcel), honest()
    request = replace(
        request, passes=replace(request.passes, outputs=OutputsPass(count=1), profile=ProfilePass(calls=2))
    )
    missing = read_reply(json.dumps(reply).encode(), request, None, took_ns=TOOK)
    assert [c.summary for c in missing.conditions] == [
        "the runner returned no outputs: nothing shows whether its answers are right"
    ]
    file = tmp_path / "outputs.bin"
    file.write_bytes(bytes(12))
    reply["outputs"] = {"file": "other.bin", "count": 1, "tensors": [{"name": "y", "dtype": "float32", "shape": [3]}]}
    other = read_reply(json.dumps(reply).encode(), request, file, took_ns=TOOK).reply
    assert other.failure is not None
    assert "outputs.file is 'other.bin', but 'outputs.bin' was requested" in other.failure.message
    reply["outputs"]["file"] = "outputs.bin"
    # As many bytes as stated, but for two inputs where one was asked for.
    file.write_bytes(bytes(24))
    more = read_reply(json.dumps(reply | {"outputs": reply["outputs"] | {"count": 2}}).encode(), request, file).reply
    assert more.failure is not None
    assert "outputs.count is 2, but 1 was requested" in more.failure.message
    file.write_bytes(bytes(12))
    # A runtime without a profiler returns an empty profile.
    assert read_reply(json.dumps(reply).encode(), request, file, took_ns=TOOK).reply.status is ReplyStatus.OK


def test_the_reason_of_a_failed_launch_is_kept_whatever_its_figures(parcel: Any) -> None:
    reply = honest()
    change("runtime.threads", 99)(reply)
    reply |= {"status": "failed", "failure": {"kind": "run", "message": "the 5th call failed"}}
    read = read_reply(json.dumps(reply).encode(), asked(parcel), None, took_ns=TOOK).reply
    assert read.failure is not None
    assert (read.failure.kind, read.failure.message) == (FailureKind.RUN, "the 5th call failed")
