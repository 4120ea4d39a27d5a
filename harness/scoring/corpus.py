"""Scores of all inputs together, and what resampling the inputs says about them.

Mean IoU, mean average precision and word error rate are computed over all inputs at once: their value is no average of
values per input. So the spread over inputs comes from a bootstrap, which draws inputs with replacement (Efron and
Tibshirani 1993, chapter 6).

The draws depend on the number of inputs alone. Two measurements on the same inputs therefore drew the same inputs in
each replicate, and the differences of their replicates are those of a paired bootstrap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
# Indices of inputs, which may repeat.
Rows = npt.NDArray[np.int64]
# The value of a metric if each input counts as often as the array of shape (count,) says.
Value = Callable[[Times], float]

REPLICATES = 400
# A slow metric gets fewer replicates, which are still the first of the same draws.
MOST_SECONDS = 20.0
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A score of ``count`` inputs together. ``resampled``: whether it can be computed for other inputs than all.

    ``by_class``: the score of each class that occurs, by its index; empty for a metric without classes.
    """

    count: int
    value: Value
    resampled: bool = True
    by_class: Mapping[int, float] = field(default_factory=dict)

    def of_all(self) -> float:
        """Return the score of all inputs, each counted once."""
        return self.value(np.ones(self.count, dtype=np.int64))

    def of_some(self, members: npt.NDArray[np.bool_]) -> float | None:
        """Return the score of the inputs where ``members``, shape ``(count,)``, is true; None if there is none."""
        score = self.value(members.astype(np.int64)) if self.resampled and members.any() else math.nan
        return score if math.isfinite(score) else None


def of_counts(counts: npt.NDArray[Any], value: Callable[[npt.NDArray[Any]], float]) -> Corpus:
    """Return the score that ``value`` computes from the sum of ``counts``, of shape ``(count, *what is counted)``."""
    return Corpus(count=len(counts), value=lambda times: value(np.tensordot(times, counts, axes=1)))


def of_rows(count: int, value: Callable[[Rows], float]) -> Corpus:
    """Return the score that ``value`` computes from the indices of inputs, which may repeat."""
    return Corpus(count=count, value=lambda times: value(np.repeat(np.arange(count), times)))


def replicates(corpus: Corpus, *, least_inputs: int, seconds: float = MOST_SECONDS) -> tuple[float, ...]:
    """Return the score of up to `REPLICATES` resamples of the inputs; none for fewer than ``least_inputs``.

    A resample in which the score is not defined (no input of a class, say) is NaN.
    """
    if not corpus.resampled or corpus.count < least_inputs:
        return ()
    rng = np.random.default_rng(_SEED)
    values: list[float] = []
    end = time.monotonic() + seconds
    while len(values) < REPLICATES and time.monotonic() < end:
        drawn = rng.integers(0, corpus.count, corpus.count)
        values.append(float(corpus.value(np.bincount(drawn, minlength=corpus.count))))
    return tuple(values)


def parts_corpus(parts: Sequence[Any], combine: Callable[[Any], float]) -> Corpus:
    """Return the score that ``combine`` computes from a selection of ``parts``, one per input."""

    def value(rows: Rows) -> float:
        chosen = parts[rows] if isinstance(parts, np.ndarray) else [parts[row] for row in rows]
        return float(combine(chosen))

    return of_rows(len(parts), value)
