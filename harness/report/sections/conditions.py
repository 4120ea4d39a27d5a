"""What each condition means, and which figures it touches.

The one decision: a condition stands beside every figure that it touches, as a letter that a footnote explains, so that
no figure can be read without it.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass

from harness.records.conditions import ConditionId, FigureGroup
from harness.report.view import CellView


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFacts:
    """What a condition does to a figure, in words, and to which."""

    meaning: str
    touches: frozenset[FigureGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footnote:
    """One condition of a run: its letter, and what the cells say of it."""

    letter: str
    id: ConditionId
    summaries: tuple[str, ...]
    meaning: str
    cells: int


_TIMES = frozenset({FigureGroup.LATENCY, FigureGroup.LOAD})
_TIMES_AND_MEMORY = _TIMES | {FigureGroup.MEMORY}
_OUTPUTS = frozenset({FigureGroup.ACCURACY, FigureGroup.FIDELITY})

CONDITIONS: dict[ConditionId, ConditionFacts] = {
    ConditionId.THERMAL: ConditionFacts(
        meaning="The device was warm enough to slow itself down; it may be faster when cool.", touches=_TIMES
    ),
    ConditionId.LOW_BATTERY: ConditionFacts(
        meaning="The battery was low, and phones save power by lowering their clocks.", touches=_TIMES
    ),
    ConditionId.DEBUGGABLE: ConditionFacts(
        meaning="The runner was a debug build, which is slower and larger than a release.", touches=_TIMES_AND_MEMORY
    ),
    ConditionId.SHELL: ConditionFacts(
        meaning="A program of the shell gets other cores and clocks than an app in front: not comparable with apps.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.EMULATOR: ConditionFacts(
        meaning="An emulator ran this; its speed and memory are not those of a phone.", touches=_TIMES_AND_MEMORY
    ),
    ConditionId.SHARED_HOST: ConditionFacts(
        meaning="The machine was shared with other programs, which add noise and may slow single launches.",
        touches=_TIMES,
    ),
    ConditionId.BUSY_HOST: ConditionFacts(
        meaning="The machine was busy with other work while this was measured.", touches=_TIMES
    ),
    ConditionId.DESKTOP_CPU: ConditionFacts(
        meaning=(
            "The fp16 and int8 instructions and kernels of a desktop CPU are not a phone's: do not rank fp16 or int8 "
            "by these times."
        ),
        touches=_TIMES,
    ),
    ConditionId.FALLBACK: ConditionFacts(
        meaning="The model did not run on the delegate that was asked for, or not on that one alone.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.PARTIAL: ConditionFacts(
        meaning=(
            "The delegate did not take the other nodes: they ran on the runtime's own kernels on the CPU, and passing "
            "from the one to the other costs time."
        ),
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.PAGE_SIZE: ConditionFacts(
        meaning=(
            "Android copies such a library into memory in a compatibility mode, or refuses to load it: load and memory "
            "are not those of an app whose libraries fit. Ship a release of the runtime that is laid out for 16 KB, or "
            "another runtime; `phonebench runner build android` names the libraries that are not."
        ),
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.DEPRECATED: ConditionFacts(
        meaning="What it ran on is on its way out: true for this phone, and not what to build on.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.SIMULATED: ConditionFacts(
        meaning="A scripted device made these figures up; they show how phonebench works and nothing else.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.INDICATIVE: ConditionFacts(
        meaning="Too few launches for an interval: good for a first look, not for a claim.",
        touches=frozenset({FigureGroup.LATENCY}),
    ),
    ConditionId.UNSTEADY: ConditionFacts(
        meaning="The calls of a launch never settled, or got slower while they were measured.",
        touches=frozenset({FigureGroup.LATENCY}),
    ),
    ConditionId.THROTTLED: ConditionFacts(
        meaning="The device slowed down or changed while it was measured, on every try; such launches are left out.",
        touches=frozenset({FigureGroup.LATENCY}),
    ),
    ConditionId.GATE_TIMEOUT: ConditionFacts(
        meaning="The device was not cool or not free within the time that is waited, and was measured all the same.",
        touches=_TIMES,
    ),
    ConditionId.RANDOM_WEIGHTS: ConditionFacts(
        meaning="The weights are untrained: speed and size are real, what the outputs say is not.", touches=_OUTPUTS
    ),
    ConditionId.RANDOM_INPUTS: ConditionFacts(
        meaning="The inputs are noise: they do not exercise the model as real data does.", touches=_OUTPUTS
    ),
    ConditionId.RANDOM_CALIBRATION: ConditionFacts(
        meaning="A quantised variant was calibrated on noise; on real data it would be more exact.", touches=_OUTPUTS
    ),
    ConditionId.DATA_FREE: ConditionFacts(
        meaning="A quantised variant was calibrated without data: hold it against the one calibrated with data.",
        touches=_OUTPUTS,
    ),
    ConditionId.NOT_FINE_TUNED: ConditionFacts(
        meaning="A step changed the network and nothing trained it again: its speed is real, its accuracy is not.",
        touches=_OUTPUTS,
    ),
    ConditionId.UNVERIFIED: ConditionFacts(
        meaning="The computer that built the file could not run it: the device was the first that did.",
        touches=_OUTPUTS,
    ),
}


def footnotes(views: Iterable[CellView]) -> tuple[Footnote, ...]:
    """Return the conditions of ``views``, lettered a, b, c … in the order of `ConditionId`."""
    said: dict[ConditionId, dict[str, None]] = {}
    count: dict[ConditionId, int] = {}
    for view in views:
        for condition in view.conditions:
            said.setdefault(condition.id, {})[condition.summary] = None
            count[condition.id] = count.get(condition.id, 0) + 1
    present = [c for c in ConditionId if c in said]
    return tuple(
        Footnote(
            letter=letter, id=name, summaries=_first(said[name]), meaning=CONDITIONS[name].meaning, cells=count[name]
        )
        for letter, name in zip(string.ascii_lowercase, present, strict=False)
    )


def _first(summaries: Iterable[str]) -> tuple[str, ...]:
    """The first two of what the cells say; a load or a temperature differs in each of them."""
    listed = tuple(summaries)
    more = len(listed) - 2
    return (*listed[:2], f"and {more} more like it") if more > 0 else listed


def marks(view: CellView, notes: Iterable[Footnote], figure: FigureGroup | None = None) -> tuple[Footnote, ...]:
    """Return those of ``notes`` that ``view`` carries, and that touch ``figure`` when one is given."""
    carried = {c.id for c in view.conditions}
    return tuple(n for n in notes if n.id in carried and (figure is None or figure in CONDITIONS[n.id].touches))
