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

    ``max_error`` is the largest finite absolute difference. ``agreement`` is the share (0…1) of inputs with the same
    largest output, None if the outputs are not classes. ``non_finite`` counts the inputs with a NaN or an infinity in
    either output.
    """

    sqnr_db: float
    sqnr_worst_db: float
    cosine: float
    max_error: float
    agreement: float | None
    non_finite: int
    count: int


def compare_outputs(reference: Numbers, outputs: Numbers, *, classes: bool = True) -> OutputFidelity:
    """Compare ``outputs`` with ``reference``, both of shape (count, n): row i holds all outputs of input i.

    SQNR in dB is 10·log10(Σx² / Σ(x - x̂)²), within ±200 dB; equal outputs give 200. A row with a value that is not
    finite counts as -200 dB, cosine 0 and disagreement. ``classes``: the columns are classes, so compute the top-1
    agreement (it needs two columns). Raises ValueError if the shapes differ or are empty.
    """
    _check_shapes(reference, outputs)
    expected, actual = np.asarray(reference, dtype=np.float64), np.asarray(outputs, dtype=np.float64)
    finite = np.asarray(np.isfinite(expected).all(axis=1) & np.isfinite(actual).all(axis=1))
    error = np.abs(expected[finite] - actual[finite])
    sqnr = _spread(sqnr_by_input(expected[finite], actual[finite]), finite, missing=-MAX_SQNR_DB)
    cosine = _spread(cosine_by_input(expected[finite], actual[finite]), finite, missing=0.0)
    agrees = expected.argmax(axis=1) == actual.argmax(axis=1)
    return OutputFidelity(
        sqnr_db=float(np.median(sqnr)),
        sqnr_worst_db=float(np.percentile(sqnr, WORST_PERCENT)),
        cosine=float(np.median(cosine)),
        max_error=float(error.max()) if error.size else 0.0,
        agreement=float(np.mean(agrees & finite)) if classes and expected.shape[1] > 1 else None,
        non_finite=int(np.count_nonzero(~finite)),
        count=len(expected),
    )


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
