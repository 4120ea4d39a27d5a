"""How close the outputs of a variant are to those of the float model on the same inputs; no labels needed.

The one decision: every figure is computed for one input and then summarised over inputs, so that one bad input is not
averaged away. The formulae are phonebench's own, since other tools' figures of the same name differ from one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Equal outputs have an infinite ratio, which JSON cannot hold; so does any ratio past this, and its negative.
MAX_SQNR_DB = 200.0
WORST_PERCENT = 1.0

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFidelity:
    """``sqnr_db`` and ``cosine`` are medians over inputs, ``sqnr_worst_db`` is the 1st percentile over inputs.

    ``max_error`` is the largest finite absolute difference anywhere; ``agreement`` the share (0…1) of inputs with the
    same largest output, None where that means nothing; ``non_finite`` counts inputs with a NaN or an infinity on either
    side.
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
    finite counts as -200 dB, cosine 0 and disagreement. ``classes`` says that the columns are classes, and that top-1
    agreement is wanted (it needs two columns). Raises ValueError when the shapes differ or there is nothing.
    """
    _check_shapes(reference, outputs)
    wanted, found = np.asarray(reference, dtype=np.float64), np.asarray(outputs, dtype=np.float64)
    finite = np.asarray(np.isfinite(wanted).all(axis=1) & np.isfinite(found).all(axis=1))
    error = np.abs(wanted[finite] - found[finite])
    sqnr = _spread(sqnr_by_input(wanted[finite], found[finite]), finite, missing=-MAX_SQNR_DB)
    cosine = _spread(cosine_by_input(wanted[finite], found[finite]), finite, missing=0.0)
    agrees = wanted.argmax(axis=1) == found.argmax(axis=1)
    return OutputFidelity(
        sqnr_db=float(np.median(sqnr)),
        sqnr_worst_db=float(np.percentile(sqnr, WORST_PERCENT)),
        cosine=float(np.median(cosine)),
        max_error=float(error.max()) if error.size else 0.0,
        agreement=float(np.mean(agrees & finite)) if classes and wanted.shape[1] > 1 else None,
        non_finite=int(np.count_nonzero(~finite)),
        count=len(wanted),
    )


def sqnr_by_input(reference: Floats, outputs: Floats) -> Floats:
    """Return the signal-to-quantisation-noise ratio of each row, dB, within ±200; both arrays are finite."""
    signal = np.sum(reference**2, axis=1)
    noise = np.sum((reference - outputs) ** 2, axis=1)
    ratio = np.full(len(signal), MAX_SQNR_DB)
    some = noise > 0
    with np.errstate(divide="ignore"):
        ratio[some] = 10 * (np.log10(signal[some]) - np.log10(noise[some]))
    return np.asarray(np.clip(ratio, -MAX_SQNR_DB, MAX_SQNR_DB))


def cosine_by_input(reference: Floats, outputs: Floats) -> Floats:
    """Return the cosine between the two rows of each input; two zero rows are alike (1), one zero row is not (0)."""
    product = np.sum(reference * outputs, axis=1)
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(outputs, axis=1)
    both_zero = np.asarray(~reference.any(axis=1) & ~outputs.any(axis=1), dtype=np.float64)
    cosine = np.divide(product, norms, out=both_zero, where=norms > 0)
    return np.asarray(np.clip(cosine, -1.0, 1.0))


def _check_shapes(reference: Numbers, outputs: Numbers) -> None:
    if reference.shape != outputs.shape or reference.ndim != 2 or reference.size == 0:
        msg = (
            f"cannot compare shapes {outputs.shape} and {reference.shape}: both must be the same (count, n), not empty"
        )
        raise ValueError(msg)


def _spread(values: Floats, where: npt.NDArray[np.bool_], *, missing: float) -> Floats:
    """Put ``values`` back at the rows that they came from; the other rows get ``missing``."""
    spread = np.full(len(where), missing)
    spread[where] = values
    return spread
