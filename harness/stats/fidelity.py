"""How close the outputs of a variant are to those of the float model on the same inputs; needs no labels.

Every figure is computed per input and then summarised over inputs, so one bad input is not averaged away. The formulae
are given here in full, because tools define figures of the same name differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Equal outputs have an infinite ratio, which JSON cannot hold; ratios are limited to ± this.
MAX_SQNR_DB = 200.0
# The 1st percentile rather than the minimum, so that the figure does not depend on the number of inputs.
WORST_PERCENT = 1.0

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFidelity:
    """``sqnr_db`` and ``cosine`` are medians over inputs, ``sqnr_worst_db`` is the 1st percentile over inputs.

    ``sqnr_min_db`` is the smallest ratio, and ``worst_input`` the index of its input. ``max_error`` is the largest
    finite absolute difference. ``agreement`` is the share (0…1) of inputs with the same largest output, None if the
    outputs are not classes. ``non_finite`` counts the inputs with a NaN or an infinity that the other side does not
    have at the same place.
    """

    sqnr_db: float
    sqnr_worst_db: float
    sqnr_min_db: float
    worst_input: int
    cosine: float
    max_error: float
    agreement: float | None
    non_finite: int
    count: int


def compare_outputs(reference: Numbers, outputs: Numbers, *, classes: bool = True) -> OutputFidelity:
    """Compare ``outputs`` with ``reference``, both of shape (count, n): row i holds all outputs of input i.

    SQNR in dB is 10·log10(Σx² / Σ(x - x̂)²), within ±200 dB; equal outputs give 200. Values that are not finite are
    equal if both sides have the same infinity, or both NaN, at the same place; they are left out of the sums. A row
    with any other value that is not finite counts as -200 dB, cosine 0 and disagreement. ``classes``: the columns are
    classes, so compute the top-1 agreement (it needs two columns). Raises ValueError if the shapes differ or are empty.
    """
    _check_shapes(reference, outputs)
    expected, actual, finite = _comparable(reference, outputs)
    error = np.abs(expected[finite] - actual[finite])
    sqnr = _spread(sqnr_by_input(expected[finite], actual[finite]), finite, missing=-MAX_SQNR_DB)
    cosine = _spread(cosine_by_input(expected[finite], actual[finite]), finite, missing=0.0)
    agrees = np.asarray(reference).argmax(axis=1) == np.asarray(outputs).argmax(axis=1)
    worst = int(sqnr.argmin())
    return OutputFidelity(
        sqnr_db=float(np.median(sqnr)),
        sqnr_worst_db=float(np.percentile(sqnr, WORST_PERCENT)),
        sqnr_min_db=float(sqnr[worst]),
        worst_input=worst,
        cosine=float(np.median(cosine)),
        max_error=float(error.max()) if error.size else 0.0,
        agreement=float(np.mean(agrees & finite)) if classes and expected.shape[1] > 1 else None,
        non_finite=int(np.count_nonzero(~finite)),
        count=len(expected),
    )


def differing_inputs(reference: Numbers, outputs: Numbers, limit_db: float) -> tuple[int, ...]:
    """Return the indices of the inputs whose outputs differ from ``reference`` by more than ``limit_db`` allows.

    The error of an input is compared with the power of its own reference or, if that is larger, with the median power
    over all inputs. Rounding errors follow the numbers inside a network, not its result: a result that happens to be
    near zero has a small SQNR although nothing is wrong. Raises ValueError as `compare_outputs` does.
    """
    _check_shapes(reference, outputs)
    expected, actual, finite = _comparable(reference, outputs)
    signal = np.sum(expected**2, axis=1)
    noise = np.sum((expected - actual) ** 2, axis=1)
    usual = float(np.median(signal[finite])) if finite.any() else 0.0
    allowed = np.maximum(signal, usual) * 10 ** (-limit_db / 10)
    return tuple(int(i) for i in np.flatnonzero((noise > allowed) | ~finite))


def variation(rows: Numbers) -> float | None:
    """Return how much ``rows``, of shape (count, n), vary from input to input, relative to their size.

    That is the root mean square of the deviations from the mean row, divided by that of all values; 0 for zeros, None
    for a single row, which cannot tell. Values that are not finite count as 0.
    """
    if len(rows) < 2 or rows.size == 0:
        return None
    values = np.nan_to_num(np.asarray(rows, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    power = float(np.mean(values**2))
    deviation = float(np.mean((values - values.mean(axis=0)) ** 2))
    return float(np.sqrt(deviation / power)) if power > 0 else 0.0


def sqnr_by_input(reference: Floats, outputs: Floats) -> Floats:
    """Return the signal-to-quantisation-noise ratio of each row in dB, within ±200. Both arrays must be finite."""
    signal = np.sum(reference**2, axis=1)
    noise = np.sum((reference - outputs) ** 2, axis=1)
    ratio = np.full(len(signal), MAX_SQNR_DB)
    some = noise > 0
    # A reference of zeros has no signal: log10(0) is -inf, which the limit turns into -200 dB.
    with np.errstate(divide="ignore"):
        ratio[some] = 10 * (np.log10(signal[some]) - np.log10(noise[some]))
    return np.asarray(np.clip(ratio, -MAX_SQNR_DB, MAX_SQNR_DB))


def cosine_by_input(reference: Floats, outputs: Floats) -> Floats:
    """Return the cosine between the two rows of each input: 1 if both rows are zero, 0 if only one is."""
    product = np.sum(reference * outputs, axis=1)
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(outputs, axis=1)
    both_zero = np.asarray(~reference.any(axis=1) & ~outputs.any(axis=1), dtype=np.float64)
    cosine = np.divide(product, norms, out=both_zero, where=norms > 0)
    return np.asarray(np.clip(cosine, -1.0, 1.0))


def _comparable(reference: Numbers, outputs: Numbers) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Both sides, with 0 wherever they are equal and not finite, and which rows are finite apart from that.

    Rows that are not finite are 0 on both sides, so that they do not spoil sums.
    """
    expected, actual = np.array(reference, dtype=np.float64), np.array(outputs, dtype=np.float64)
    same = ~np.isfinite(expected) & ((expected == actual) | (np.isnan(expected) & np.isnan(actual)))
    expected[same] = actual[same] = 0.0
    finite: npt.NDArray[np.bool_] = np.asarray((np.isfinite(expected) & np.isfinite(actual)).all(axis=1))
    expected[~finite] = actual[~finite] = 0.0
    return expected, actual, finite


def _check_shapes(reference: Numbers, outputs: Numbers) -> None:
    if reference.shape != outputs.shape or reference.ndim != 2 or reference.size == 0:
        shapes = f"{outputs.shape} and {reference.shape}"
        msg = f"cannot compare outputs of shapes {shapes}: both must have the same shape (count, n) and not be empty"
        raise ValueError(msg)


def _spread(values: Floats, where: npt.NDArray[np.bool_], *, missing: float) -> Floats:
    """Put ``values`` back at the rows they came from; the other rows get ``missing``."""
    spread = np.full(len(where), missing)
    spread[where] = values
    return spread
