"""From the calls of a cell's launches to the latency that is stored.

The headline is the median of the calls in a typical launch, and its interval is over launches. Percentiles are those of
a typical launch too: each call counts in units of its own launch's median, so that a launch that is slow as a whole
does not pass for a tail. Where launches differ so much that the percentile over all calls is another, neither is shown.
Nothing is dropped as an outlier: a slow call that a user would feel belongs in the figures.

Where launches run at two or three speeds, the figures are those of most launches, and there is neither an interval nor
a tail: no launch takes an average of the two, and a few launches do not show how often each comes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.records.measurement import LatencySummary, MinuteLatency
from harness.stats.clock import clock_step
from harness.stats.launches import Interval, launch_interval, typical
from harness.stats.overtime import by_minute
from harness.stats.percentiles import (
    early_stopping_estimate,
    median,
    minimum_samples,
    percentile,
    percentile_if_enough,
    percentiles,
)
from harness.stats.speeds import Speed, at_main_speed, speeds_of
from harness.stats.steady import SteadyState, find_steady
from harness.wire import LatencySamples, SummarisedTimes

Floats = npt.NDArray[np.float64]

# If the percentile over all calls is further from that of a typical launch, it is about the slow launches and not about
# the slow calls, and no figure is right for both.
SAME_TAIL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyCalls:
    """The calls of one launch that count: ``samples[start:]``, their median, and how the whole launch went."""

    start: int
    calls: int
    median_ns: float
    state: SteadyState


def summarise_launch(samples_ns: Sequence[int], *, trim: bool) -> SteadyCalls:
    """Summarise the measured calls of one launch (ns, in order, call 0 and warm-up left out).

    With ``trim`` the median leaves out what comes before the steady part; without it every call counts, but the state
    is reported all the same. Raises ValueError without samples.
    """
    steady = find_steady(samples_ns)
    start = steady.start if trim else 0
    kept = samples_ns[start:]
    return SteadyCalls(start=start, calls=len(kept), median_ns=median(kept), state=steady.state)


def summarise_calls(latency: LatencySamples, *, trim: bool) -> SteadyCalls | None:
    """Summarise one launch from its calls, or from the summary that its runner reported; None without either."""
    reported = latency.told
    if reported is not None:
        return SteadyCalls(start=0, calls=reported.calls, median_ns=reported.median_ns, state=SteadyState.NOT_TOLD)
    return summarise_launch(latency.samples_ns, trim=trim) if latency.samples_ns else None


def summarise_told(launches: Sequence[SummarisedTimes]) -> LatencySummary:
    """Summarise launches that reported a summary instead of single calls. Raises ValueError without launches.

    Percentiles are the medians of the launches' own; those that no launch reported are None.
    """
    middle = _middle([launch.median_ns for launch in launches], step=0.0)
    calls = sum(launch.calls for launch in launches)
    enough = min(launch.calls for launch in launches) >= minimum_samples(95) and not middle.speeds
    alike = [launches[index] for index in middle.alike]
    return LatencySummary(
        median_ns=middle.typical_ns,
        low_ns=middle.interval.low_ns if middle.interval else None,
        high_ns=middle.interval.high_ns if middle.interval else None,
        mean_ns=sum(launch.mean_ns * launch.calls for launch in launches) / calls,
        min_ns=min(launch.min_ns for launch in launches),
        p5_ns=median([launch.p5_ns for launch in alike]),
        p25_ns=None,
        p75_ns=None,
        p90_ns=None,
        p95_ns=median([launch.p95_ns for launch in alike]) if enough else None,
        p99_ns=None,
        variation=None,
        calls=calls,
        launches=len(launches),
        speeds=middle.speeds,
    )


def summarise(launches: Sequence[Sequence[int]]) -> LatencySummary:
    """Summarise the steady calls (ns) of one or more launches.

    ``variation`` is the standard deviation of all calls over their mean. Raises ValueError without launches, or if one
    of them has no calls.
    """
    if not launches:
        msg = "there are no launches to summarise"
        raise ValueError(msg)
    medians = [median(calls) for calls in launches]
    calls = np.concatenate([np.asarray(launch, dtype=np.int64) for launch in launches])
    mean, step = float(calls.mean()), clock_step(calls.tolist())
    middle = _middle(medians, step=step)
    usual = _of_a_typical_launch(launches, medians, middle)

    def tail(percent: float) -> float | None:
        shown = percentile_if_enough(usual, percent)
        if shown is None or middle.speeds or not _agree(shown, percentile(calls, percent)):
            return None
        return shown

    p90_ns = tail(90)
    p5_ns, p25_ns, p75_ns = percentiles(usual, (5, 25, 75))
    return LatencySummary(
        median_ns=middle.typical_ns,
        low_ns=middle.interval.low_ns if middle.interval else None,
        high_ns=middle.interval.high_ns if middle.interval else None,
        mean_ns=mean,
        min_ns=int(calls.min()),
        p5_ns=p5_ns,
        p25_ns=p25_ns,
        p75_ns=p75_ns,
        p90_ns=p90_ns,
        p90_mlperf_ns=early_stopping_estimate(usual, 90) if p90_ns is not None else None,
        p95_ns=tail(95),
        p99_ns=tail(99),
        variation=float(calls.std(ddof=1)) / mean if len(calls) > 1 and mean > 0 else None,
        calls=len(calls),
        launches=len(launches),
        speeds=middle.speeds,
        clock_step=step,
    )


def of_batches(summary: LatencySummary, *, calls: int) -> LatencySummary:
    """Return the summary of samples that are means over batches, which took ``calls`` calls in all.

    There are no percentiles: the mean of a batch hides its slow calls.
    """
    return replace(
        summary,
        p25_ns=None,
        p75_ns=None,
        p90_ns=None,
        p90_mlperf_ns=None,
        p95_ns=None,
        p99_ns=None,
        variation=None,
        calls=calls,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Middle:
    """The typical launch: its time, its interval, the speeds if there are several, and which launches are alike."""

    typical_ns: float
    interval: Interval | None
    speeds: tuple[Speed, ...]
    alike: tuple[int, ...]


def _middle(medians_ns: Sequence[float], *, step: float) -> _Middle:
    speeds = speeds_of(medians_ns)
    alike = tuple(at_main_speed(medians_ns, speeds))
    return _Middle(
        typical_ns=typical([medians_ns[index] for index in alike]),
        interval=None if speeds else launch_interval(medians_ns, clock_step=step),
        speeds=speeds,
        alike=alike,
    )


def _agree(of_a_launch: float, over_all: float) -> bool:
    return min(of_a_launch, over_all) <= 0 or abs(math.log(of_a_launch / over_all)) <= SAME_TAIL


def _of_a_typical_launch(launches: Sequence[Sequence[int]], medians: Sequence[float], middle: _Middle) -> Floats:
    """The calls of the launches that are alike, each scaled to a launch that takes the typical time."""
    scaled = [
        np.asarray(launches[index], dtype=np.float64) * (middle.typical_ns / medians[index] if medians[index] else 1.0)
        for index in middle.alike
    ]
    return np.concatenate(scaled)


def minute_latencies(launches: Sequence[tuple[Sequence[int], Sequence[int]]]) -> tuple[MinuteLatency, ...]:
    """Return each minute of sustained launches, given as (moments of the calls, their times), both in ns.

    Raises ValueError if moments and times differ in number.
    """
    return tuple(
        MinuteLatency(
            minute=minute,
            median_ns=float(np.median(samples)),
            p90_ns=float(np.percentile(samples, 90)),
            calls=len(samples),
        )
        for minute, samples in by_minute(launches).items()
    )
