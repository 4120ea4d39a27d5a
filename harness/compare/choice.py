"""The choice among good files whose speed does not decide. The report and the search share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.compare.quality import EXACT_DB

# Files whose sizes differ by less are equally small, unless the smallest is asked for.
SIZE_CLASS = 1.10
# A smaller difference in SQNR is none.
SAME_DB = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the choice is made by: the key of the cell, the size, the closeness to the float model, and the latency."""

    key: str
    bytes: float
    closeness_db: float | None
    latency_ns: float


def preferred(candidates: Sequence[Candidate], *, size_class: float = SIZE_CLASS) -> Candidate | None:
    """Return the closest to the float model of the smallest files, then the smaller one, then the faster; None of none.

    Sizes within ``size_class`` of the smallest count as the smallest.
    """
    if not candidates:
        return None
    limit = size_class * min(c.bytes for c in candidates)
    small = [c for c in candidates if c.bytes <= limit]
    closest = max(map(_capped_db, small))
    return min((c for c in small if _capped_db(c) >= closest - SAME_DB), key=lambda c: (c.bytes, c.latency_ns))


def _capped_db(candidate: Candidate) -> float:
    """The closeness to compare by: beyond `EXACT_DB`, closer is no better."""
    return 0.0 if candidate.closeness_db is None else min(EXACT_DB, candidate.closeness_db)
