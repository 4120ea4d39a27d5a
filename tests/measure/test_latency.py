"""From calls to figures."""

from __future__ import annotations

import pytest

from harness.measure.latency import minute_latencies, summarise, summarise_calls, summarise_launch, summarise_told
from harness.stats.launches import launch_interval
from harness.stats.overtime import MINUTE_NS
from harness.stats.steady import SteadyState
from harness.wire import LatencySamples, SummarisedTimes


def test_the_headline_is_that_of_a_typical_launch() -> None:
    # All calls together have the median 20. The pairs of the launches' medians 10, 20 and 90 have the geometric means
    # 10, 14.1, 20, 30, 42.4 and 90; the median of these six, on a logarithmic scale, is √(20 · 30).
    summary = summarise([[10] * 10, [20] * 30, [90] * 20])
    assert summary.median_ns == pytest.approx(600**0.5)
    assert (summary.calls, summary.launches) == (60, 3)
    assert summary.mean_ns == pytest.approx(2500 / 60)
    assert (summary.low_ns or 0) < 20 < (summary.high_ns or 0)


def test_launches_at_two_speeds_are_not_averaged() -> None:
    fast, slow = [1000, 1002, 998, 1004], [2500, 2510]
    summary = summarise([[level] * 100 for level in (*fast[:2], *slow, *fast[2:])])
    assert [(round(speed.level_ns), speed.launches) for speed in summary.speeds] == [(1001, 4), (2505, 2)]
    assert summary.median_ns == pytest.approx(1001, abs=0.5)
    assert (summary.low_ns, summary.high_ns, summary.p90_ns, summary.p99_ns) == (None,) * 4
    # What is over all calls stays over all calls.
    assert (summary.min_ns, summary.calls) == (998, 600)
    assert summary.p75_ns == pytest.approx(1001, abs=0.5)


def test_speeds_that_differ_little_have_no_tail_either() -> None:
    summary = summarise([[level] * 100 for level in (10_000, 10_005, 9_995, 10_002, 10_400, 10_404)])
    assert [speed.launches for speed in summary.speeds] == [4, 2]
    assert (summary.p90_ns, summary.p90_mlperf_ns, summary.p95_ns) == (None, None, None)


TAILED = [100] * 98 + [150] * 2


def test_percentiles_are_those_of_a_typical_launch() -> None:
    # Every launch has the same tail, 1.5 times its median in 2 % of its calls; one launch is 3 % slower than the rest.
    launches = [[level * call for call in TAILED] for level in (1000, 1010, 990, 1005, 995, 1000, 1030)]
    summary = summarise(launches)
    assert summary.p99_ns == pytest.approx(1.5 * summary.median_ns, rel=0.002)
    assert summary.p90_ns == pytest.approx(summary.median_ns, rel=0.002)


def test_a_tail_that_is_one_slow_launch_is_not_shown() -> None:
    # Over all calls, p90 and p99 are those of the slow launch; in a typical one they are 1.5 times its median or less.
    launches = [[level * call for call in TAILED] for level in (1000, 1010, 990, 1005, 995, 1000, 1800)]
    summary = summarise(launches)
    assert (summary.speeds, summary.p90_ns, summary.p90_mlperf_ns, summary.p99_ns) == ((), None, None, None)
    assert summary.p5_ns == pytest.approx(summary.median_ns, rel=0.01)


def test_a_coarse_clock_widens_the_interval() -> None:
    # Calls of 20.3 ms on a clock of 1 ms: every launch has the median 20 ms.
    summary = summarise([([20_000_000] * 7 + [21_000_000] * 3) * 10] * 5)
    assert summary.clock_step == pytest.approx(1 / 20)
    assert summary.median_ns == 20e6
    assert (summary.low_ns or 0) < 20.3e6 < (summary.high_ns or 0)


def test_a_single_launch_has_no_interval() -> None:
    summary = summarise([[1, 2, 3, 4, 5]])
    assert (summary.low_ns, summary.high_ns) == (None, None)
    assert (summary.median_ns, summary.mean_ns, summary.min_ns) == (3.0, 3.0, 1)
    assert (summary.p25_ns, summary.p75_ns) == (2.0, 4.0)
    assert summary.variation == pytest.approx(2.5**0.5 / 3)


@pytest.mark.parametrize(
    ("calls", "shown"),
    [(63, [False, False, False]), (64, [True, False, False]), (130, [True, True, False]), (662, [True, True, True])],
)
def test_tail_percentiles_appear_with_enough_calls(calls: int, shown: list[bool]) -> None:
    summary = summarise([list(range(1, calls + 1))])
    assert [p is not None for p in (summary.p90_ns, summary.p95_ns, summary.p99_ns)] == shown


def test_one_call_has_no_variation() -> None:
    assert summarise([[7]]).variation is None


@pytest.mark.parametrize("launches", [[], [[1, 2], []]])
def test_nothing_to_summarise_is_an_error(launches: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="there are no"):
        summarise(launches)


@pytest.mark.parametrize(("trim", "start", "median_ns"), [(True, 150, 1000.0), (False, 0, 1000.0)])
def test_trimming_drops_the_warm_up_and_the_state_is_reported_either_way(
    trim: bool, start: int, median_ns: float
) -> None:
    launch = summarise_launch([1500] * 150 + [1000] * 200, trim=trim)
    assert (launch.start, launch.calls, launch.median_ns) == (start, 350 - start, median_ns)
    assert launch.state is SteadyState.WARMUP


def summarised(median_ns: int, calls: int = 200) -> SummarisedTimes:
    """The summary of a program that reports no single calls."""
    return SummarisedTimes(
        calls=calls,
        min_ns=median_ns - 2,
        p5_ns=median_ns - 1,
        median_ns=median_ns,
        p95_ns=median_ns + 5,
        max_ns=median_ns + 9,
        mean_ns=median_ns + 1,
    )


def test_launches_that_report_only_a_summary_have_the_interval_of_their_medians() -> None:
    interval = launch_interval([10, 20, 90])
    assert interval is not None
    by_word = summarise_told([summarised(10), summarised(20), summarised(90)])
    assert by_word.median_ns == pytest.approx(600**0.5)
    assert (by_word.low_ns, by_word.high_ns) == (interval.low_ns, interval.high_ns)
    assert (by_word.min_ns, by_word.p5_ns, by_word.p95_ns) == (8, 19, 25)
    assert (by_word.p25_ns, by_word.p75_ns, by_word.p90_ns, by_word.p99_ns, by_word.variation) == (None,) * 5
    assert (by_word.calls, by_word.launches, by_word.mean_ns) == (600, 3, 41)


def test_a_reported_tail_of_few_calls_is_not_shown() -> None:
    assert summarise_told([summarised(10, calls=129)]).p95_ns is None


def test_a_launch_is_summarised_from_its_calls_or_from_its_own_summary() -> None:
    by_word = summarise_calls(LatencySamples(first_ns=1, warmup_ns=(), samples_ns=(), told=summarised(10)), trim=True)
    assert by_word is not None
    assert (by_word.median_ns, by_word.calls, by_word.state) == (10, 200, SteadyState.NOT_TOLD)
    assert summarise_calls(LatencySamples(first_ns=1, warmup_ns=(), samples_ns=()), trim=True) is None


def test_each_minute_has_its_own_median() -> None:
    minutes = minute_latencies([((0, 10, MINUTE_NS - 1, MINUTE_NS, 3 * MINUTE_NS), (1, 2, 3, 10, 20))])
    assert [(m.minute, m.median_ns, m.calls) for m in minutes] == [(1, 2.0, 3), (2, 10.0, 1), (4, 20.0, 1)]
    assert minute_latencies([]) == ()
