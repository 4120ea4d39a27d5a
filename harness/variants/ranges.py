"""From observed activations to ranges: what the observers of a recipe mean, the same in every format.

The formats' own tools have observers that differ in their constants and in their search, and some have no histogram.
So the ranges are computed here with numpy, and each format's quantiser is only given the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar, assert_never

import numpy as np
import numpy.typing as npt

from harness.spec.recipe import Observer
from harness.wire.tensors import Array

# The weight of each new input in the moving average of the range. docs/optimisation.md shows the effect.
AVERAGING = 0.1
# The percentage of observed values that lie in the range of a percentile; half of the rest is cut off at each end.
PERCENTILE = 99.99
# Bins of a histogram on each side of zero. At least half of those on the wider side are in use.
BINS = 4096
# A histogram counts about this many values of one activation in one input. More of them change no range.
SAMPLE = 131_072
# Candidates for each end of the range in the search for the least error.
_ENDS = 129

Floats = npt.NDArray[np.float64]
Range = tuple[float, float]
End = TypeVar("End")


def whole_ends(observer: Observer, inputs: Iterable[End], outputs: Iterable[End]) -> list[End]:
    """Return which of a graph's ``inputs`` and ``outputs`` keep the range of all values, whatever the observer.

    The largest scores decide a class, and a narrower range would clip them. An input with few values, such as a row of
    features, averages to a fraction of its range.
    """
    return [*outputs, *(inputs if observer is Observer.MOVING_AVERAGE else ())]


class ObservedRange:
    """The values of one activation over all calibration inputs, as far as ``observer`` needs them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._whole: Range | None = None
        self._average: Range = (0.0, 0.0)
        self._histogram = GrowingHistogram() if observer in (Observer.HISTOGRAM, Observer.PERCENTILE) else None

    @property
    def seen(self) -> bool:
        """Whether there was any value."""
        return self._whole is not None

    def keep_whole(self) -> None:
        """Return the range of all values in `range`, whatever the observer."""
        self._observer, self._histogram = Observer.MIN_MAX, None

    def see(self, values: Array) -> None:
        """Add the values of one calibration input. Those that are not finite do not count."""
        finite = values.ravel()
        if not np.isfinite(finite).all():
            finite = finite[np.isfinite(finite)]
        if finite.size == 0:
            return
        low, high = float(finite.min()), float(finite.max())
        if self._whole is None:
            self._whole = self._average = low, high
        else:
            self._whole = min(self._whole[0], low), max(self._whole[1], high)
            self._average = _moved(self._average[0], low), _moved(self._average[1], high)
        if self._histogram is not None:
            self._histogram.add(finite)

    def range(self, levels: int) -> Range | None:
        """Return the lowest and the highest value to represent in ``levels`` steps, None if nothing was seen."""
        if self._whole is None:
            return None
        match self._observer:
            case Observer.MIN_MAX:
                return self._whole
            case Observer.MOVING_AVERAGE:
                return self._average
            case Observer.HISTOGRAM:
                return least_error_range(self._counted(), levels)
            case Observer.PERCENTILE:
                return percentile_range(self._counted())
            case _:
                assert_never(self._observer)

    def _counted(self) -> Histogram:
        assert self._histogram is not None
        assert self._whole is not None
        return self._histogram.between(*self._whole)


def _moved(average: float, new: float) -> float:
    return average + AVERAGING * (new - average)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """``counts`` of values in bins between ``edges``, of which there is one more than bins."""

    counts: Floats
    edges: Floats


class GrowingHistogram:
    """A histogram of one pass: the bins double in width, and merge in pairs, whenever a value lies outside.

    Exact zeros do not count. Every quantiser represents zero exactly, so they have no part in its error, and after a
    ReLU they would outnumber everything else.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 * BINS)
        self._width = 0.0

    def add(self, values: Array) -> None:
        """Count finite ``values``, of one dimension; of very many, some at equal distances, and both extremes."""
        if values.size > SAMPLE:
            # An odd distance, because sizes of images are even and a column of pixels is no sample.
            values = np.append(values[:: values.size // SAMPLE | 1], [values.min(), values.max()])
        nonzero = values[values != 0].astype(np.float64)
        if nonzero.size == 0:
            return
        largest = float(np.abs(nonzero).max())
        if self._width == 0.0:
            self._width = largest / BINS
        while largest > self._width * BINS:
            self._merge()
        places = np.floor(nonzero / self._width).astype(np.int64).clip(-BINS, BINS - 1) + BINS
        self._counts += np.bincount(places, minlength=2 * BINS)

    def between(self, low: float, high: float) -> Histogram:
        """Return the bins in use. The outermost edges are ``low`` and ``high``, or zero if that lies further out."""
        low, high = min(low, 0.0), max(high, 0.0)
        if self._width == 0.0:
            return Histogram(counts=np.ones(1), edges=np.array([low, high]))
        first = BINS - max(min(int(np.ceil(-low / self._width)), BINS), 0)
        last = BINS + max(min(int(np.ceil(high / self._width)), BINS), 0)
        edges = np.arange(first - BINS, last + 1 - BINS, dtype=np.float64) * self._width
        edges[0], edges[-1] = low, high
        return Histogram(counts=self._counts[first:last].copy(), edges=edges)

    def _merge(self) -> None:
        pairs = self._counts.reshape(BINS, 2).sum(axis=1)
        edge = np.zeros(BINS // 2)
        self._counts = np.concatenate([edge, pairs, edge])
        self._width *= 2


def percentile_range(histogram: Histogram) -> Range:
    """Return the range that holds `PERCENTILE` per cent of the values, to within the width of a bin."""
    shares = np.cumsum(histogram.counts) / histogram.counts.sum()
    cut = (100.0 - PERCENTILE) / 200.0
    last = len(histogram.counts) - 1
    first_bin = min(int(np.searchsorted(shares, cut, side="right")), last)
    last_bin = min(int(np.searchsorted(shares, 1.0 - cut)), last)
    return float(histogram.edges[first_bin]), float(histogram.edges[last_bin + 1])


def least_error_range(histogram: Histogram, levels: int) -> Range:
    """Return the range that, quantised to ``levels`` steps, has the least squared error over the histogram.

    The error is that of the values clipped at both ends, plus a twelfth of the squared step for all others. This is the
    model of Banner et al. 2019 (arXiv:1810.05723, §3), with the measured distribution instead of a Laplace or Gauss
    curve.
    """
    centres = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    every = max(len(centres) // (_ENDS - 1), 1)
    # Both extremes are candidates, whatever the number of bins.
    picked = np.unique([*range(0, len(histogram.edges), every), len(histogram.edges) - 1])
    ends = histogram.edges[picked]
    # With the moments below each edge, the clipped error of every candidate needs no second pass over the values.
    moments = [np.concatenate([[0.0], np.cumsum(histogram.counts * centres**power)])[picked] for power in range(3)]
    count, first, second = moments
    below = second - 2 * ends * first + ends**2 * count
    total, total_first, total_second = (moment[-1] for moment in moments)
    above = (total_second - second) - 2 * ends * (total_first - first) + ends**2 * (total - count)
    step = (ends[None, :] - ends[:, None]) / (levels - 1)
    error = below[:, None] + above[None, :] + (count[None, :] - count[:, None]) * step**2 / 12
    # The range of a quantiser always includes zero.
    allowed = (step > 0) & (ends[:, None] <= max(0.0, ends[0])) & (ends[None, :] >= min(0.0, ends[-1]))
    if not allowed.any():
        return float(ends[0]), float(ends[-1])
    low, high = np.unravel_index(int(np.argmin(np.where(allowed, error, np.inf))), error.shape)
    return float(ends[low]), float(ends[high])
