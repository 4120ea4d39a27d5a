"""From observed activations to ranges: what the observers of a recipe mean in every format.

PyTorch's libraries have a moving average, a minimum and maximum, and a histogram that is searched for the least squared
error; a percentile can be read from that histogram. For formats whose tools have no histogram, the ranges are computed
here with numpy.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from harness.spec.recipe import Observer
from harness.wire.tensors import Array

# The weight of each new input in the moving average of the range. docs/optimisation.md shows the effect.
AVERAGING = 0.1
# The percentage of observed values that lie in the range of a percentile; half of the rest is cut off at each end.
PERCENTILE = 99.99
BINS = 2048
# Candidates for each end of the range in the search for the least error.
_ENDS = 129

Floats = npt.NDArray[np.float64]


def torch_observer(library: Any, observer: Observer, **settings: Any) -> Any:
    """Return a constructor of ``observer`` from ``library``: torchao's PT2E observers or those of `torch.ao`."""
    match observer:
        case Observer.MOVING_AVERAGE:
            return library.MovingAverageMinMaxObserver.with_args(averaging_constant=AVERAGING, **settings)
        case Observer.MIN_MAX:
            return library.MinMaxObserver.with_args(**settings)
        case Observer.HISTOGRAM:
            return library.HistogramObserver.with_args(**settings)
        case Observer.PERCENTILE:
            return _percentile_observer(library.HistogramObserver).with_args(**settings)
        case _:
            assert_never(observer)


@functools.cache
def _percentile_observer(histogram_observer: Any) -> Any:
    import torch

    class PercentileObserver(histogram_observer):  # type: ignore[misc]
        """The histogram observer, with the range taken at a percentile."""

        def _non_linear_param_search(self) -> tuple[torch.Tensor, torch.Tensor]:
            counts = self.histogram.double().numpy()
            edges = np.linspace(float(self.min_val), float(self.max_val), len(counts) + 1)
            low, high = percentile_range(Histogram(counts=counts, edges=edges))
            return torch.tensor(low, dtype=torch.float32), torch.tensor(high, dtype=torch.float32)

    return PercentileObserver


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """``counts`` of values in bins of equal width between ``edges``, of which there is one more than bins."""

    counts: Floats
    edges: Floats

    def with_values(self, values: Array) -> Histogram:
        """Return the histogram with ``values`` added; those outside go into the outer bins."""
        low, high = self.edges[0], self.edges[-1]
        bins = len(self.counts)
        scale = bins / (high - low) if high > low else 0.0
        places = ((values.ravel().astype(np.float64) - low) * scale).astype(np.int64).clip(0, bins - 1)
        return Histogram(counts=self.counts + np.bincount(places, minlength=bins), edges=self.edges)


def empty_histogram(low: float, high: float) -> Histogram:
    """Return a histogram of `BINS` empty bins from ``low`` to ``high``."""
    return Histogram(counts=np.zeros(BINS), edges=np.linspace(low, high, BINS + 1))


def percentile_range(histogram: Histogram) -> tuple[float, float]:
    """Return the range that holds `PERCENTILE` per cent of the values, to within the width of a bin."""
    shares = np.cumsum(histogram.counts) / histogram.counts.sum()
    cut = (100.0 - PERCENTILE) / 200.0
    last = len(histogram.counts) - 1
    first_bin = min(int(np.searchsorted(shares, cut, side="right")), last)
    last_bin = min(int(np.searchsorted(shares, 1.0 - cut)), last)
    return float(histogram.edges[first_bin]), float(histogram.edges[last_bin + 1])


def least_error_range(histogram: Histogram, levels: int) -> tuple[float, float]:
    """Return the range that, quantised to ``levels`` steps, has the least squared error over the histogram.

    The error is that of the values clipped at both ends, plus a twelfth of the squared step for all others. This is the
    model of Banner et al. 2019 (arXiv:1810.05723, §3), with the measured distribution instead of a Laplace or Gauss
    curve.
    """
    centres = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    every = max(len(centres) // (_ENDS - 1), 1)
    ends = histogram.edges[::every]
    # With the moments below each edge, the clipped error of every candidate needs no second pass over the values.
    moments = [np.concatenate([[0.0], np.cumsum(histogram.counts * centres**power)])[::every] for power in range(3)]
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
