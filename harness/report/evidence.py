"""What a run's replies hold beyond the figures: every call, the device's state and logs.

A reply is read once and kept as arrays, because several charts and the details of a cell are drawn from the same calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import StoreError
from harness.records.measurement import LaunchSummary, Measurement
from harness.store.reader import read_kept, read_reply
from harness.store.records import RunRecord
from harness.system.decoding import decode_json
from harness.wire import RunReply, StateSample

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchEvidence:
    """One launch as its runner reported it.

    ``warmup_ns`` are the calls before the steady ones, call 0 first; ``steady_ns`` are those that the figures were
    computed from. ``states`` is the series of device states, empty if none was taken. ``log`` is the transcript of a
    benchmark program, or the evidence of a failure.
    """

    index: int
    warmup_ns: Times
    steady_ns: Times
    states: tuple[StateSample, ...] = ()
    log: str = ""


Evidence = Callable[[Measurement], tuple[LaunchEvidence, ...]]


def no_evidence(measurement: Measurement) -> tuple[LaunchEvidence, ...]:  # noqa: ARG001
    """Return nothing: for a report that is rendered without the replies."""
    return ()


def stored_evidence(run: RunRecord) -> Evidence:
    """Return a reader of the replies of ``run``, which reads each reply once.

    A launch whose reply is missing or damaged is left out; the figures were computed when it was whole.
    """
    by_cell: dict[str, tuple[LaunchEvidence, ...]] = {}

    def read(measurement: Measurement) -> tuple[LaunchEvidence, ...]:
        if measurement.cell not in by_cell:
            launches = (_launch(run, launch) for launch in measurement.launches)
            by_cell[measurement.cell] = tuple(launch for launch in launches if launch is not None)
        return by_cell[measurement.cell]

    return read


def steady_calls(evidence: Evidence) -> Callable[[Measurement], list[Times]]:
    """Return the steady calls (ns) of a measurement by launch; empty if one reply is lost or has no single calls.

    A distribution of some launches would look like that of all.
    """

    def calls(measurement: Measurement) -> list[Times]:
        launches = evidence(measurement)
        whole = len(launches) == len(measurement.launches)
        return [launch.steady_ns for launch in launches if launch.steady_ns.size] if whole else []

    return calls


def _launch(run: RunRecord, launch: LaunchSummary) -> LaunchEvidence | None:
    try:
        reply = read_reply(run, launch.reply_sha256)
    except StoreError:
        return None
    warmup, steady = _calls(reply, launch.calls)
    return LaunchEvidence(
        index=launch.index,
        warmup_ns=warmup,
        steady_ns=steady,
        states=_states(run, launch, reply),
        log=reply.transcript or (reply.failure.detail if reply.failure else ""),
    )


def _calls(reply: RunReply, steady: int | None) -> tuple[Times, Times]:
    """The calls that warmed up and the steady ones, which are the last ``steady`` of the samples."""
    if reply.latency is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    samples = np.asarray(reply.latency.samples_ns, dtype=np.int64)
    # An origin other than our runners may count no calls.
    split = max(0, samples.size - (steady or 0))
    first_ns = () if reply.latency.first_ns is None else (reply.latency.first_ns,)
    first = np.asarray((*first_ns, *reply.latency.warmup_ns), dtype=np.int64)
    return np.concatenate([first, samples[:split]]), samples[split:]


def _states(run: RunRecord, launch: LaunchSummary, reply: RunReply) -> tuple[StateSample, ...]:
    if launch.watch_sha256 is not None:
        try:
            data = read_kept(run, f"{launch.watch_sha256}.watch.json")
            return decode_json(data, tuple[StateSample, ...])
        except (StoreError, ValueError):
            # The state explains a figure; without it the figure still stands.
            return ()
    return reply.state.series if reply.state else ()
