"""How much quality a variant loses against its float model, and whether that is less or more than a limit.

Both answer the same inputs, so the loss is measured input by input. It has three possible verdicts, because a small
test set often can neither exclude a loss nor show one: 20 photos on which two files differ once say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.stats.intervals import wilson, wilson_of_share
from harness.stats.means import LEAST_FOR_MEAN
from harness.stats.normal import Z_ONE_SIDED, deviation
from harness.stats.normal import mean as mean_of
from harness.stats.proportions import compare_correct, mcnemar_p
from harness.stats.resampling import standard_error
from harness.stats.student import LEVEL, p_of_estimate, t_quantile

# The level of the tests for a difference.
SIGNIFICANT = 0.05
# "Less than the limit" is a one-sided claim: it is made for 5 % of the variants that lose exactly the limit.
ONE_SIDED = 0.95
# Where fewer scores differ than this, Student's interval says nothing about inputs that were not seen.
FEW_DIFFERENCES = 10


class LossVerdict(StrEnum):
    """What the inputs show about a loss: that it is below the limit, that it is above it, or neither."""

    WITHIN = "within"
    BEYOND = "beyond"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much worse B is than A on the same ``count`` inputs, on the scale of the metric; negative if B is better.

    ``low`` to ``high`` is the 95 % interval of ``loss`` and ``at_most`` its one-sided 95 % upper bound; all three are
    None for too few inputs. ``p_value`` is that of "no difference". ``worse`` and ``better`` count the inputs on which
    B is worse or better; None if A and B were not compared input by input.
    """

    loss: float
    limit: float
    count: int
    low: float | None = None
    high: float | None = None
    at_most: float | None = None
    p_value: float = 1.0
    worse: int | None = None
    better: int | None = None

    @property
    def verdict(self) -> LossVerdict:
        """Whether the loss is shown to be below ``limit``, shown to be above it, or neither."""
        if self.at_most is not None and self.at_most < self.limit:
            return LossVerdict.WITHIN
        # The interval is approximate for few inputs, so that the exact test has to agree.
        if self.low is not None and self.low > self.limit and self.p_value < SIGNIFICANT:
            return LossVerdict.BEYOND
        return LossVerdict.OPEN

    @property
    def is_real(self) -> bool:
        """Whether B is certainly worse than A, by however little."""
        return self.loss > 0 and self.p_value < SIGNIFICANT


def loss_of_answers(a: Sequence[bool], b: Sequence[bool], limit: float) -> Loss:
    """Return the loss of accuracy of B, with the limit ``limit`` (0.01 = one percentage point).

    The interval is Tango's (1998) for paired shares, and the p-value is McNemar's, exact. Raises ValueError if the
    counts differ or are 0.
    """
    paired = compare_correct(a, b)
    return Loss(
        loss=-paired.difference,
        limit=limit,
        count=paired.count,
        low=-paired.high,
        high=-paired.low,
        at_most=-paired.at_least,
        p_value=paired.p_value,
        worse=paired.lost,
        better=paired.won,
    )


def loss_of_shares(correct: tuple[int, int], count: int, limit: float) -> Loss:
    """Return the loss of accuracy where only the numbers of ``correct`` answers of A and B, of ``count``, are known.

    The interval is that of Newcombe (1998, method 10) for independent shares. On the same inputs it is too wide rather
    than too narrow, because the answers of a network and of its variant agree on most inputs.
    """
    (low_a, high_a), (low_b, high_b) = (wilson(number, count) for number in correct)
    a, b = (number / count for number in correct)
    loss = a - b
    low = loss - math.hypot(a - low_a, high_b - b)
    high = loss + math.hypot(high_a - a, b - low_b)
    # The two-sided bound serves as the one-sided one. The p-value has nothing to add to so wide an interval.
    return Loss(loss=loss, limit=limit, count=count, low=low, high=high, at_most=high, p_value=0.0 if low > 0 else 1.0)


def loss_of_scores(a: Sequence[float], b: Sequence[float], limit: float, *, higher_is_better: bool = True) -> Loss:
    """Return the mean loss of B over scores, one per input, with the limit ``limit`` > 0 on the scale of the scores.

    The interval is Student's over the differences, and there is none for fewer than twenty inputs. Scores of 0 and 1
    only are right and wrong answers, and are treated as such. Raises ValueError if the counts differ or are 0, or for a
    score that is not finite.
    """
    _check(a, b)
    if {*a, *b} <= {0.0, 1.0}:
        sides = [[bool(score) is higher_is_better for score in side] for side in (a, b)]
        return loss_of_answers(sides[0], sides[1], limit)
    sign = 1.0 if higher_is_better else -1.0
    losses = [sign * (x - y) for x, y in zip(a, b, strict=True)]
    worse, better = sum(x > 0 for x in losses), sum(x < 0 for x in losses)
    mean, count = mean_of(losses), len(losses)
    plain = Loss(loss=mean, limit=limit, count=count, worse=worse, better=better)
    if count < LEAST_FOR_MEAN:
        return plain
    error = deviation(losses) / math.sqrt(count)
    half = t_quantile(LEVEL, count - 1) * error
    at_most = mean + t_quantile(ONE_SIDED, count - 1) * error
    judged = replace(
        plain, low=mean - half, high=mean + half, at_most=at_most, p_value=p_of_estimate(mean, error, count - 1)
    )
    return judged if worse + better >= FEW_DIFFERENCES else _with_few_differences(judged, max(*a, *b) - min(*a, *b))


def loss_of_replicates(
    difference: float, sides: tuple[Sequence[float], Sequence[float]], count: int, limit: float
) -> Loss:
    """Return the loss of a score of all ``count`` inputs at once, given B less A and the replicates of A and of B.

    Higher scores are better; negate all three where lower ones are. The interval is that of a paired bootstrap; there
    is none for few inputs, see `harness.stats.resampling`.
    """
    plain = Loss(loss=-difference, limit=limit, count=count)
    if difference == 0 and tuple(sides[0]) == tuple(sides[1]):
        return replace(plain, low=0.0, high=0.0, at_most=0.0)
    error = standard_error([y - x for x, y in zip(*sides, strict=False)], count)
    if error is None:
        return plain
    half = t_quantile(LEVEL, count - 1) * error
    at_most = plain.loss + t_quantile(ONE_SIDED, count - 1) * error
    p_value = p_of_estimate(difference, error, count - 1)
    return replace(plain, low=plain.loss - half, high=plain.loss + half, at_most=at_most, p_value=p_value)


def _with_few_differences(loss: Loss, reach: float) -> Loss:
    """Allow for inputs unlike those seen: where hardly any score differs, Student's interval is far too narrow.

    With ``n`` inputs, a kind of input that occurs in up to 1 - 0.05^(1/n) of all cases may not have been seen (the rule
    of three). It could cost up to ``reach``. The p-value is that of the exact sign test.
    """
    unseen = reach * (1 - (1 - ONE_SIDED) ** (1 / loss.count))
    return replace(
        loss,
        high=None if loss.high is None else loss.high + unseen,
        at_most=None if loss.at_most is None else loss.at_most + unseen,
        p_value=max(loss.p_value, mcnemar_p(loss.worse or 0, loss.better or 0)),
    )


def _check(a: Sequence[float], b: Sequence[float]) -> None:
    if len(a) != len(b) or not a:
        msg = f"{len(a)} scores of A and {len(b)} of B: both must score the same inputs, at least one"
        raise ValueError(msg)
    if not all(math.isfinite(score) for score in (*a, *b)):
        msg = "a score is not a finite number, so that there is no mean to compare"
        raise ValueError(msg)


def least_inputs(limit: float) -> int:
    """Return the least number of inputs that can show a loss of accuracy below ``limit``, if not one answer changes.

    Without a changed answer, the score bound of Tango is z² / (n + z²), z = 1.645.
    """
    square = Z_ONE_SIDED**2
    return math.floor(square * (1 - limit) / limit) + 1


def share_bounds(correct: int, count: int) -> tuple[float, float]:
    """Return the one-sided 95 % lower bound of the share ``correct`` / ``count``, and its 97.5 % upper bound (Wilson).

    The lower bound serves the claim that the share is high enough, and the upper one the claim that it is not.
    """
    return wilson_of_share(correct / count, count, z=Z_ONE_SIDED)[0], wilson(correct, count)[1]
