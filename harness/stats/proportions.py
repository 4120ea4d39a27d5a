"""Correct and wrong answers of two variants on the same inputs: exact McNemar, and whether B is no worse than A.

Accuracies are compared input by input. With 500 inputs each accuracy has an interval of ± 4 points, which decides
nothing; the few inputs on which the two variants disagree decide a lot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.normal import Z_ONE_SIDED, Z_TWO_SIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedAccuracy:
    """``lost``: inputs that A answers correctly and B does not; ``won``: the reverse; ``count``: all inputs.

    ``difference`` is the accuracy of B minus that of A, with its 95 % interval; ``at_least`` is its one-sided
    95 % lower bound, because "no worse" is a one-sided question. ``p_value`` is McNemar's, exact.
    """

    lost: int
    won: int
    count: int
    difference: float
    low: float
    high: float
    at_least: float
    p_value: float


def compare_correct(a: Sequence[bool], b: Sequence[bool]) -> PairedAccuracy:
    """Compare the correct (True) and wrong answers of A and B on the same inputs, in the same order.

    Raises ValueError if the counts differ or are 0.
    """
    if len(a) != len(b) or not a:
        msg = f"{len(a)} answers of A and {len(b)} of B: both must answer the same inputs, at least one"
        raise ValueError(msg)
    lost = sum(x and not y for x, y in zip(a, b, strict=True))
    won = sum(y and not x for x, y in zip(a, b, strict=True))
    low, high = difference_interval(lost, won, len(a))
    return PairedAccuracy(
        lost=lost,
        won=won,
        count=len(a),
        difference=(won - lost) / len(a),
        low=low,
        high=high,
        at_least=_accepted(_Disagreements(lost=lost, won=won, count=len(a)), -1.0, Z_ONE_SIDED),
        p_value=mcnemar_p(lost, won),
    )


def mcnemar_p(lost: int, won: int) -> float:
    """Return the exact two-sided p-value of McNemar (1947): ``lost`` of lost + won under Binomial(lost + won, 1/2).

    1 if both are 0.
    """
    count, smaller = lost + won, min(lost, won)
    tail = sum(math.comb(count, k) for k in range(smaller + 1))
    # Integers until the last step: as a float, 2^-count is 0 beyond 1,074 disagreements.
    return min(1.0, 2 * tail / (1 << count))


def difference_interval(lost: int, won: int, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of (won - lost) / count for paired shares (Tango 1998).

    Its ends are the differences that the score test just accepts. Unlike Wald's interval it keeps its width when the
    variants never disagree, and its lower end has the stated error in a test of non-inferiority.
    ``count`` is at least 1 and at least ``lost`` + ``won``.
    """
    answers = _Disagreements(lost=lost, won=won, count=count)
    return _accepted(answers, -1.0, Z_TWO_SIDED), _accepted(answers, 1.0, Z_TWO_SIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Disagreements:
    """What the score statistic needs of two sides on the same inputs; fields as in `PairedAccuracy`."""

    lost: int
    won: int
    count: int

    @property
    def difference(self) -> float:
        """The observed difference, B less A."""
        return (self.won - self.lost) / self.count


def _accepted(answers: _Disagreements, outside: float, limit: float) -> float:
    """The difference farthest towards ``outside`` (-1 or 1) whose score statistic is at most ``limit``."""
    inside = answers.difference
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(_score(answers, middle)) <= limit:
            inside = middle
        else:
            outside = middle
    return inside


def _score(answers: _Disagreements, difference: float) -> float:
    """Tango's score statistic of "the shares differ by ``difference``", normal with deviation 1 if that is true.

    ``lost_share`` is the maximum-likelihood share of inputs that only A gets right, given that difference.
    """
    lost, won, count = answers.lost, answers.won, answers.count
    half = ((won + lost) - (2 * count - won + lost) * difference) / (4 * count)
    lost_share = half + math.sqrt(max(0.0, half**2 + lost * difference * (1 - difference) / (2 * count)))
    variance = count * (2 * lost_share + difference * (1 - difference))
    gap = won - lost - count * difference
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def non_inferior(paired: PairedAccuracy, margin: float) -> bool:
    """Return whether B is worse than A by less than ``margin`` (0.01 = one point), with an error of at most 5 %."""
    return paired.at_least > -margin


def bits_to_correct(bits: str, count: int) -> list[bool]:
    """Decode ``Accuracy.correct_bits``: hexadecimal, input 0 in the most significant bit, padded at the end.

    Raises ValueError if ``bits`` is too short for ``count`` inputs or is not hexadecimal.
    """
    wide = len(bits) * 4
    if wide < count:
        msg = f"{len(bits)} hexadecimal digits hold {wide} inputs, expected {count}: the record is damaged"
        raise ValueError(msg)
    number = int(bits, 16) if bits else 0
    return [bool(number >> (wide - 1 - index) & 1) for index in range(count)]


def weighted_scores(right: Sequence[int], asked: Sequence[int]) -> tuple[float, ...]:
    """Return one score per input whose mean is Σ``right`` / Σ``asked``, where inputs have several answers.

    Paired comparisons work on these, because the answers of one input depend on each other. Empty if none was asked.
    """
    total = sum(asked)
    return tuple(r * len(asked) / total for r in right) if total else ()


def correct_to_bits(right: Sequence[bool]) -> str:
    """Encode ``right``, one answer per input, as `bits_to_correct` reads it; "" for none."""
    bits = "".join("1" if r else "0" for r in right)
    padded = bits.ljust(-(-len(bits) // 4) * 4, "0")
    return f"{int(padded, 2):0{len(padded) // 4}x}" if padded else ""
