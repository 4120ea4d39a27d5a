"""The goal of a search: how much accuracy it may lose, what it minimises, and how much it may try."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UnknownNameError, UsageError
from harness.spec.recipe import Precision

DEFAULT_MAX_DROP = "1pp"
DEFAULT_BUDGET = 40
DEFAULT_SECONDS = 240.0
# Limits that catch typing mistakes; the second is a day.
MOST_BUILDS = 10_000
MOST_SECONDS = 86_400.0

_POINTS = re.compile(r"(\d+(?:\.\d+)?)\s*pp")


class Minimise(StrEnum):
    """What to minimise among the points that keep the accuracy."""

    LATENCY = "latency"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The goal of a search. ``max_drop`` is a share (0…1): 0.01 is one percentage point.

    ``max_group_drop``: the same for the class or group that lost most; None for no such limit.

    ``budget`` counts builds, including those found in the cache. ``seconds`` of wall time are checked between moves, so
    the last move may exceed them. The search tries ``precisions`` of the float model first.
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

    max_group_drop: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.budget <= MOST_BUILDS:
            msg = f"budget is {self.budget}: it must be from 1 to {MOST_BUILDS} builds"
            raise UsageError(msg)
        if not 0 < self.seconds <= MOST_SECONDS:
            msg = f"seconds is {self.seconds:g}: it must be greater than 0 and at most {MOST_SECONDS:g}"
            raise UsageError(msg)


def read_drop(text: str, *, option: str = "max-drop") -> float:
    """Return the share (0…1) that ``text`` stands for, such as ``1pp`` or ``0.5pp``. Raises `UsageError`."""
    match = _POINTS.fullmatch(text.strip())
    points = float(match[1]) if match else -1.0
    if not 0 <= points < 100:
        msg = f"{option} is {text!r}: give percentage points, at least 0pp and below 100pp, such as 1pp or 0.5pp"
        raise UsageError(msg)
    return points / 100


def read_minimise(text: str) -> Minimise:
    """Return the member that ``text`` names. Raises `UnknownNameError`."""
    names = [member.value for member in Minimise]
    if text not in names:
        raise UnknownNameError(text, kind="minimise", allowed=names)
    return Minimise(text)
