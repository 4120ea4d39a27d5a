"""The tables of the worlds in ``docs/measurement.md``, as Markdown: every world, with 95 % half-widths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from harness.stats.verdicts import Verdict
from tests.simulation import calls, energy, launches, pairs

# How many cells (and comparisons), sessions or launches each figure comes from.
CELLS, SESSIONS, LAUNCHES = 400, 1000, 400
# Making and searching thousands of calls takes long.
CELLS_OF_CALLS = 60


def launch_rows() -> Iterator[str]:
    """Yield a row per world of launches; see `launches.Figures` for the columns."""
    for name, world in launches.WORLDS.items():
        count = CELLS_OF_CALLS if world.calls else CELLS
        shown = launches.figures(name, count)
        single = world.speeds == 1
        yield row(
            name,
            _share(shown.covered, round(shown.kept * count)) if single else "–",
            _share(shown.told, count),
            "–" if single else _share(shown.right, count),
            f"{shown.launches:.1f}",
            *(_share(value, count) for value in shown.verdicts),
        )


def pair_rows() -> Iterator[str]:
    """Yield a row per world of pairs: equal sides called and equivalent, 3 % called and equivalent."""
    for name in pairs.PAIR_WORLDS:
        found = [pairs.verdicts(name, SESSIONS, effect=effect) for effect in (0.0, pairs.EFFECT)]
        yield row(
            name,
            *(
                _share(sum(verdict in which for verdict in verdicts) / SESSIONS, SESSIONS)
                for verdicts in found
                for which in ((Verdict.REGRESSED, Verdict.IMPROVED), (Verdict.EQUIVALENT,))
            ),
        )


def call_rows() -> Iterator[str]:
    """Yield a row per world of calls: how many launches are called unsteady, and how many should be."""
    for worlds, wanted in ((calls.FLAT, "none"), (calls.THROTTLED, "all")):
        for name, draw in worlds.items():
            short = "–" if wanted == "all" else _share(calls.flagged(draw, LAUNCHES, length=60), LAUNCHES)
            yield row(name, wanted, _share(calls.flagged(draw, LAUNCHES), LAUNCHES), short)
    for slow in (0.1, 0.2, 0.5):
        low = calls.tail_is_low(LAUNCHES, slow=slow)
        yield row(f"p99 too low, {slow:.0%} of launches × 1.3", *(_share(value, LAUNCHES) for value in low))


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "launches": launch_rows,
    "pairs": pair_rows,
    "calls": call_rows,
    "energy": energy.energy_rows,
}


def row(*columns: str) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(columns)} |"


def _share(value: float, count: int) -> str:
    if not count or math.isnan(value):
        return "–"
    # Wilson's half-width, which is not 0 where nothing happened.
    half = 1.96 * math.sqrt(value * (1 - value) / count + 1.96**2 / (4 * count**2)) / (1 + 1.96**2 / count)
    return f"{100 * value:.1f} ± {100 * half:.1f}"
