"""The verdict of a comparison, from an interval and the margin, which is the change that matters.

A difference is called only if the interval excludes "no change" *and* reaches the margin. If the estimate itself had to
reach the margin, a change of exactly that size would be found only half of the time, however long it is measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of comparing B with A."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not-comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A change and its interval, on a scale where 0 is no change: ln(B / A), or B - A."""

    estimate: float
    low: float
    high: float


def decide(span: Span, margin: float, *, higher_is_better: bool = False) -> Verdict:
    """Return the verdict on a change with its 95 % interval. ``margin`` > 0 is the change that matters, same scale.

    ``equivalent`` if the interval lies within ± margin; ``regressed`` or ``improved`` if it excludes 0 and reaches the
    margin; ``undecided`` otherwise. Raises ValueError for a margin that is not positive or a number that is not finite.
    """
    if not all(math.isfinite(x) for x in (span.estimate, span.low, span.high)) or not margin > 0:
        msg = f"no verdict on {span} with the margin {margin!r}: all numbers must be finite, and the margin more than 0"
        raise ValueError(msg)
    # Equivalence comes first: a difference may be certain and still too small to matter.
    if -margin < span.low and span.high < margin:
        return Verdict.EQUIVALENT
    if span.low > 0:
        return Verdict.IMPROVED if higher_is_better else Verdict.REGRESSED
    if span.high < 0:
        return Verdict.REGRESSED if higher_is_better else Verdict.IMPROVED
    return Verdict.UNDECIDED


def needs_more(span: Span | None, margin: float) -> bool:
    """Return whether a session of pairs should continue if it can.

    True while undecided, and while a difference is called whose estimate is below the margin: with more pairs it may
    turn out too small to matter.
    """
    if span is None:
        return True
    verdict = decide(span, margin)
    return verdict is Verdict.UNDECIDED or (verdict is not Verdict.EQUIVALENT and abs(span.estimate) < margin)


def log_margin(relative: float) -> float:
    """Return the margin ``relative`` (0.03 = 3 %) on a logarithmic scale, ln(1 + relative), equal both ways."""
    return math.log1p(relative)


def by_tolerance(
    before: float, after: float, *, relative: float, absolute: float, higher_is_better: bool = False
) -> Verdict:
    """Return the verdict on a value without an interval: memory and sizes are nearly exact.

    It changed if it moved by more than the larger of ``relative`` (of ``before``) and ``absolute``; the verdict is
    never ``undecided``. Raises ValueError for a number that is not finite.
    """
    if not (math.isfinite(before) and math.isfinite(after)):
        msg = f"cannot compare {before!r} with {after!r}: both must be finite"
        raise ValueError(msg)
    if abs(after - before) <= max(relative * abs(before), absolute):
        return Verdict.EQUIVALENT
    return Verdict.IMPROVED if (after > before) is higher_is_better else Verdict.REGRESSED
