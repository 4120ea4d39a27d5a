"""Verdicts from intervals."""

from __future__ import annotations

import math

import pytest

from harness.stats.verdicts import Span, Verdict, by_tolerance, decide, log_margin, needs_more

MIB = 1 << 20


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.04, 0.06, Verdict.REGRESSED),
        (0.01, 0.05, Verdict.REGRESSED),
        (-0.06, -0.04, Verdict.IMPROVED),
        (-0.02, 0.02, Verdict.EQUIVALENT),
        (0.005, 0.02, Verdict.EQUIVALENT),
        (-0.01, 0.05, Verdict.UNDECIDED),
        (-0.05, 0.01, Verdict.UNDECIDED),
    ],
)
def test_a_verdict_needs_an_interval_without_zero_and_a_change_that_matters(
    low: float, high: float, verdict: Verdict
) -> None:
    span = Span(estimate=(low + high) / 2, low=low, high=high)
    assert decide(span, 0.03) is verdict


def test_higher_is_better_reverses_the_verdict() -> None:
    worse = Span(estimate=-0.05, low=-0.06, high=-0.04)
    assert decide(worse, 0.01, higher_is_better=True) is Verdict.REGRESSED
    assert decide(worse, 0.01) is Verdict.IMPROVED


@pytest.mark.parametrize(
    ("span", "more"),
    [
        (None, True),
        (Span(estimate=0.02, low=-0.01, high=0.05), True),
        (Span(estimate=0.02, low=0.005, high=0.035), True),
        (Span(estimate=0.04, low=0.02, high=0.06), False),
        (Span(estimate=0.0, low=-0.01, high=0.01), False),
    ],
)
def test_a_session_continues_while_the_verdict_may_change(span: Span | None, more: bool) -> None:
    assert needs_more(span, 0.03) is more


def test_the_margin_is_equal_both_ways() -> None:
    assert math.exp(log_margin(0.03)) == pytest.approx(1.03)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (10 * MIB, 10.9 * MIB, Verdict.EQUIVALENT),
        (10 * MIB, 11.1 * MIB, Verdict.REGRESSED),
        (500 * MIB, 504 * MIB, Verdict.EQUIVALENT),
        (500 * MIB, 494 * MIB, Verdict.IMPROVED),
    ],
)
def test_memory_changes_by_the_larger_of_one_percent_and_a_mebibyte(
    before: float, after: float, verdict: Verdict
) -> None:
    assert by_tolerance(before, after, relative=0.01, absolute=MIB) is verdict


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_have_no_verdict(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        decide(Span(estimate=0.0, low=0.0, high=bad), 0.03)
    with pytest.raises(ValueError, match="finite"):
        by_tolerance(1.0, bad, relative=0.1, absolute=0)
    with pytest.raises(ValueError, match="the margin more than 0"):
        decide(Span(estimate=0.0, low=0.0, high=0.0), 0.0)
