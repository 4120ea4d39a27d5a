"""What a search is asked for: the drop that is allowed, what is to become small, and how much may be tried."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UnknownNameError, UsageError
from harness.spec.recipe import Precision

DEFAULT_MAX_DROP = "1pp"
DEFAULT_BUDGET = 40
DEFAULT_SECONDS = 240.0
MOST_BUILDS = 10_000
MOST_SECONDS = 86_400.0

_POINTS = re.compile(r"(\d+(?:\.\d+)?)\s*pp")


class Minimise(StrEnum):
    """What the best point has the least of, among those that keep the quality."""

    LATENCY = "latency"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The question of a search. ``max_drop`` is a share (0…1), so that 0.01 is one percentage point.

    ``budget`` counts builds, cached ones too; ``seconds`` of wall time are looked at between the moves of the walk.
    ``precisions`` are what the float model is tried in first.
    """

    max_drop: float
    minimise: Minimise
    budget: int = DEFAULT_BUDGET
    seconds: float = DEFAULT_SECONDS
    precisions: tuple[Precision, ...] = (
        Precision.FP32,
        Precision.INT8,
        Precision.FP16,
        Precision.INT8_DYNAMIC,
    )

    def __post_init__(self) -> None:
        if not 1 <= self.budget <= MOST_BUILDS:
            msg = f"budget is {self.budget}: it must be from 1 to {MOST_BUILDS} builds"
            raise UsageError(msg)
        if not 0 < self.seconds <= MOST_SECONDS:
            msg = f"seconds is {self.seconds:g}: it must be over 0 and at most {MOST_SECONDS:g}"
            raise UsageError(msg)


def read_drop(text: str) -> float:
    """Return the share (0…1) that ``text`` allows, such as ``1pp`` or ``0.5pp``. Raises `UsageError`."""
    found = _POINTS.fullmatch(text.strip())
    points = float(found[1]) if found else -1.0
    if not 0 <= points < 100:
        msg = f"max-drop is {text!r}: give percentage points from 0pp to below 100pp, such as 1pp or 0.5pp"
        raise UsageError(msg)
    return points / 100


def read_minimise(text: str) -> Minimise:
    """Return what ``text`` names. Raises `UnknownNameError`."""
    names = [member.value for member in Minimise]
    if text not in names:
        raise UnknownNameError(text, kind="minimise", allowed=names)
    return Minimise(text)
