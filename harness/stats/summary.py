"""From the calls of a cell's launches to the figures that are stored.

The one decision: the headline is the median of the launches' medians, its interval is over launches, and percentiles
are over all steady calls together; nothing is dropped as an outlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.records.measurement import LatencySummary
from harness.stats.intervals import t_interval_of_log_medians
from harness.stats.percentiles import (
    early_stopping_estimate,
    median,
    minimum_samples,
    percentile,
    percentile_if_enough,
)
from harness.stats.steady import SteadyState, find_steady
from harness.wire import LatencySamples, ToldTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One launch: its steady calls ``samples[start:]``, their median, and what the whole launch looked like."""

    start: int
    calls: int
    median_ns: float
    state: SteadyState


def summarise_launch(samples_ns: Sequence[int], *, trim: bool) -> Launch:
    """Summarise the measured calls of one launch (ns, in order, call 0 and warm-up left out).

    With ``trim`` what comes before the steady part is left out of the median; without, every call counts and the state
    is told all the same. Raises ValueError without samples.
    """
    steady = find_steady(samples_ns)
    start = steady.start if trim else 0
    kept = samples_ns[start:]
    return Launch(start=start, calls=len(kept), median_ns=median(kept), state=steady.state)


def summarise_calls(latency: LatencySamples, *, trim: bool) -> Launch | None:
    """Summarise one launch from its calls, or from what was told in their place; None when there is neither."""
    told = latency.told
    if told is not None:
        return Launch(start=0, calls=told.calls, median_ns=told.median_ns, state=SteadyState.NOT_TOLD)
    return summarise_launch(latency.samples_ns, trim=trim) if latency.samples_ns else None


def summarise_told(launches: Sequence[ToldTimes]) -> LatencySummary:
    """Summarise launches of which a summary alone is known. Raises ValueError without launches.

    Percentiles are the medians of the launches' own, and those that no launch told are None.
    """
    medians = [told.median_ns for told in launches]
    interval = t_interval_of_log_medians(medians)
    calls = sum(told.calls for told in launches)
    enough = min(told.calls for told in launches) >= minimum_samples(95)
    return LatencySummary(
        median_ns=median(medians),
        low_ns=interval.low_ns if interval else None,
        high_ns=interval.high_ns if interval else None,
        mean_ns=sum(told.mean_ns * told.calls for told in launches) / calls,
        min_ns=min(told.min_ns for told in launches),
        p5_ns=median([told.p5_ns for told in launches]),
        p25_ns=None,
        p75_ns=None,
        p90_ns=None,
        p95_ns=median([told.p95_ns for told in launches]) if enough else None,
        p99_ns=None,
        variation=None,
        calls=calls,
        launches=len(launches),
    )


def summarise(launches: Sequence[Sequence[int]]) -> LatencySummary:
    """Summarise the steady calls (ns) of one or more launches.

    ``variation`` is the standard deviation of all calls over their mean. Raises ValueError without launches, or when
    one of them has no calls.
    """
    if not launches:
        msg = "there are no launches to summarise"
        raise ValueError(msg)
    medians = [median(calls) for calls in launches]
    interval = t_interval_of_log_medians(medians)
    calls = np.concatenate([np.asarray(launch, dtype=np.int64) for launch in launches])
    mean = float(calls.mean())
    return LatencySummary(
        median_ns=median(medians),
        low_ns=interval.low_ns if interval else None,
        high_ns=interval.high_ns if interval else None,
        mean_ns=mean,
        min_ns=int(calls.min()),
        p5_ns=percentile(calls, 5),
        p25_ns=percentile(calls, 25),
        p75_ns=percentile(calls, 75),
        p90_ns=percentile_if_enough(calls, 90),
        p90_mlperf_ns=early_stopping_estimate(calls, 90),
        p95_ns=percentile_if_enough(calls, 95),
        p99_ns=percentile_if_enough(calls, 99),
        variation=float(calls.std(ddof=1)) / mean if len(calls) > 1 and mean > 0 else None,
        calls=len(calls),
        launches=len(launches),
    )
