"""What each condition means, and which figures it touches.

A condition is shown beside every figure that it touches, as a letter that a footnote explains. Nobody can read the
figure without it.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass

from harness.records.conditions import ConditionId, FigureGroup
from harness.report.view import CellView


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFacts:
    """What a condition means for the figures that it touches.

    The page shows ``meaning`` after what the run itself says of the condition, so it must not repeat that.
    """

    meaning: str
    touches: frozenset[FigureGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footnote:
    """One condition of a run: its letter, what the cells say of it, and how many cells have it."""

    letter: str
    id: ConditionId
    summaries: tuple[str, ...]
    meaning: str
    cells: int


# a … z, then aa … az: there are more kinds of conditions than letters.
_LETTERS = (*string.ascii_lowercase, *(f"a{letter}" for letter in string.ascii_lowercase))
_LATENCY = frozenset({FigureGroup.LATENCY})
_MEMORY = frozenset({FigureGroup.MEMORY})
_TIMES = frozenset({FigureGroup.LATENCY, FigureGroup.LOAD})
_TIMES_AND_MEMORY = _TIMES | _MEMORY
_OUTPUTS = frozenset({FigureGroup.ACCURACY, FigureGroup.FIDELITY})

CONDITIONS: dict[ConditionId, ConditionFacts] = {
    ConditionId.THERMAL: ConditionFacts(
        meaning="The device was warm enough to slow itself down; it may be faster when cool.", touches=_TIMES
    ),
    ConditionId.LOW_BATTERY: ConditionFacts(
        meaning="A phone with a low battery lowers its clocks to save power.", touches=_TIMES
    ),
    ConditionId.LOW_POWER_MODE: ConditionFacts(
        meaning="An iPhone in low power mode lowers its clocks.", touches=_TIMES
    ),
    ConditionId.DEBUGGABLE: ConditionFacts(
        meaning="A debug build of the runner is slower and larger than a release build.", touches=_TIMES_AND_MEMORY
    ),
    ConditionId.SHELL: ConditionFacts(
        meaning="A shell program gets other cores and clocks than an app in front; do not compare it with apps.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.WATCH_LOAD: ConditionFacts(
        meaning="Reading the phone's state during the launch took processor time, so the calls may have taken longer.",
        touches=_LATENCY,
    ),
    ConditionId.EMULATOR: ConditionFacts(
        meaning="The speed and memory of an emulator are not those of a phone.", touches=_TIMES_AND_MEMORY
    ),
    ConditionId.SOFTWARE_GPU: ConditionFacts(
        meaning=(
            "The processor imitated a GPU. What ran, what the GPU delegate refused and the outputs are real; the times "
            "and the memory are not those of any GPU, and are never recommended."
        ),
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.SHARED_HOST: ConditionFacts(
        meaning="Other programs add noise and may slow single launches.", touches=_TIMES
    ),
    ConditionId.BUSY_HOST: ConditionFacts(
        meaning="Other work ran while this was measured; the times may be too long.", touches=_TIMES
    ),
    ConditionId.DESKTOP_CPU: ConditionFacts(
        meaning="The fp16 and int8 instructions and kernels of a desktop CPU differ from a phone's.", touches=_TIMES
    ),
    ConditionId.FALLBACK: ConditionFacts(
        meaning="The model did not run on the requested delegate, or not on that one alone.", touches=_TIMES_AND_MEMORY
    ),
    ConditionId.PARTIAL: ConditionFacts(
        meaning=(
            "The delegate did not take the other nodes. They ran on the runtime's own CPU kernels, and switching "
            "between the two costs time."
        ),
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.PAGE_SIZE: ConditionFacts(
        meaning=(
            "Android copies such a library into memory in a compatibility mode, or refuses to load it: load time and "
            "memory are not those of an app whose libraries fit. Ship a release of the runtime that is laid out for "
            "16 KB, or another runtime; `phonebench runner build android` names the libraries that are not."
        ),
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.DEPRECATED: ConditionFacts(
        meaning="The figures are right for this phone, but do not build on what is being removed.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.SIMULATED: ConditionFacts(
        meaning="They show how phonebench works and nothing else.", touches=_TIMES_AND_MEMORY
    ),
    ConditionId.CLOUD: ConditionFacts(
        meaning="Good for whether it runs on that phone, and about how fast; not for a gate, and never in a history.",
        touches=_TIMES_AND_MEMORY,
    ),
    ConditionId.INDICATIVE: ConditionFacts(
        meaning="Good for a first look, not for a claim.",
        touches=_LATENCY,
    ),
    ConditionId.UNSTEADY: ConditionFacts(
        meaning="The calls of such a launch never settled, or got slower while they were measured.",
        touches=_LATENCY,
    ),
    ConditionId.THROTTLED: ConditionFacts(
        meaning="The device slowed down or changed during the measurement, on every retry; such launches are left out.",
        touches=_LATENCY,
    ),
    ConditionId.TWO_SPEEDS: ConditionFacts(
        meaning=(
            "The figure is the time of most launches. It has no interval, and no verdict rests on it. A process seems "
            "to keep the speed that it starts with, such as that of its core, its clock or its memory layout; more "
            "launches (`--launches`) show how often each speed occurs."
        ),
        touches=_LATENCY,
    ),
    ConditionId.COARSE_CLOCK: ConditionFacts(
        meaning=(
            "The clock of the runner is too coarse for one call of this model. The median is right within the step of "
            "the clock; single slow calls do not show."
        ),
        touches=_TIMES,
    ),
    ConditionId.NO_ENERGY: ConditionFacts(
        meaning="The energy was asked for and there is none, for the reason given. The other figures are not affected.",
        touches=frozenset({FigureGroup.ENERGY}),
    ),
    ConditionId.CUT_SHORT: ConditionFacts(
        meaning="The runner did not do what the profile asks: do not compare its times before you have looked into it.",
        touches=_TIMES,
    ),
    ConditionId.GATE_TIMEOUT: ConditionFacts(
        meaning="The device was not cool or not idle within the waiting time, and was measured all the same.",
        touches=_TIMES,
    ),
    ConditionId.RANDOM_WEIGHTS: ConditionFacts(
        meaning="The network is untrained: its outputs mean nothing.", touches=_OUTPUTS
    ),
    ConditionId.RANDOM_INPUTS: ConditionFacts(
        meaning="Noise does not exercise the model as real data does.", touches=_OUTPUTS
    ),
    ConditionId.RANDOM_CALIBRATION: ConditionFacts(
        meaning="A variant quantised with real data would be more exact.", touches=_OUTPUTS
    ),
    ConditionId.DATA_FREE: ConditionFacts(
        meaning="Compare it with the same variant calibrated on data.", touches=_OUTPUTS
    ),
    ConditionId.NOT_FINE_TUNED: ConditionFacts(
        meaning="A step changed the network without fine-tuning it: its speed is real, its accuracy is not.",
        touches=_OUTPUTS,
    ),
    ConditionId.UNSCORED: ConditionFacts(
        meaning="Accuracy or the model's own metric is missing, and the cell was judged without it.",
        touches=frozenset({FigureGroup.ACCURACY}),
    ),
    ConditionId.UNVERIFIED: ConditionFacts(
        meaning="The computer that built the file could not run it; the device was the first to do so.",
        touches=_OUTPUTS,
    ),
    ConditionId.INPUTS_DIFFER: ConditionFacts(
        meaning="The median does not show them: look at these inputs before you ship the file.", touches=_OUTPUTS
    ),
    ConditionId.NOT_COMPARED: ConditionFacts(
        meaning=(
            "Integers and what is picked in an order cannot be subtracted: two scores that are nearly equal may change "
            "places. Name a metric in the model's folder to judge them."
        ),
        touches=_OUTPUTS,
    ),
    ConditionId.CONSTANT_OUTPUT: ConditionFacts(
        meaning="An output that does not depend on the input says nothing about accuracy; speed and size are real.",
        touches=_OUTPUTS,
    ),
    ConditionId.NON_FINITE: ConditionFacts(
        meaning="The source is the network, not the file. Values that both have at the same place are left out.",
        touches=_OUTPUTS,
    ),
    ConditionId.TRACED: ConditionFacts(
        meaning=(
            "Tracing records one run. Whatever the network decides by the values of its input is fixed in the file as "
            "it was for the example input."
        ),
        touches=_OUTPUTS,
    ),
    ConditionId.HOST_KERNEL: ConditionFacts(
        meaning="The file is right and this computer's kernels are wrong: measure it on a phone.", touches=_OUTPUTS
    ),
    ConditionId.PARTLY_QUANTISED: ConditionFacts(
        meaning="Size and speed are those of the mixture, not of the precision that the name says.",
        touches=_LATENCY | _MEMORY,
    ),
    ConditionId.LARGER: ConditionFacts(
        meaning="Nothing is saved: what the format adds for each operation takes more than the weights lose.",
        touches=_MEMORY,
    ),
    ConditionId.FED_STATE: ConditionFacts(
        meaning="Each call is judged by itself: over a sequence, the errors of a file's own states would add up.",
        touches=_OUTPUTS,
    ),
    ConditionId.IMPORTED: ConditionFacts(
        meaning="Compare it only with cells of the same program and settings.",
        touches=_TIMES_AND_MEMORY | _OUTPUTS,
    ),
    ConditionId.UNDER_VOLTAGE: ConditionFacts(
        meaning="A board with a weak supply lowers its clocks: use its maker's supply and a short cable.",
        touches=_TIMES,
    ),
    ConditionId.STORED_TWICE: ConditionFacts(
        meaning="The file is larger than the network's weights: the format has a copy for each use.",
        touches=_MEMORY,
    ),
}


def footnotes(views: Iterable[CellView]) -> tuple[Footnote, ...]:
    """Return the conditions of ``views``, lettered a, b, c … in the order of `ConditionId`."""
    summaries: dict[ConditionId, list[str]] = {}
    for view in views:
        for condition in view.conditions:
            summaries.setdefault(condition.id, []).append(condition.summary)
    present = [id_ for id_ in ConditionId if id_ in summaries]
    return tuple(
        Footnote(
            letter=letter,
            id=id_,
            summaries=_first(dict.fromkeys(summaries[id_])),
            meaning=CONDITIONS[id_].meaning,
            cells=len(summaries[id_]),
        )
        for letter, id_ in zip(_LETTERS, present, strict=False)
    )


def _first(summaries: Iterable[str]) -> tuple[str, ...]:
    """Up to two summaries, or one of many: those with a load or a temperature in them differ from cell to cell."""
    listed = tuple(summaries)
    return listed if len(listed) <= 2 else (listed[0], f"and {len(listed) - 1} more like it")


def marks(view: CellView, notes: Iterable[Footnote], figure: FigureGroup | None = None) -> tuple[Footnote, ...]:
    """Return those of ``notes`` that ``view`` has, and that touch ``figure`` if one is given."""
    ids = {c.id for c in view.conditions}
    return tuple(n for n in notes if n.id in ids and (figure is None or figure in CONDITIONS[n.id].touches))
