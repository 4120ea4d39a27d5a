"""The walk of a search: which points to try next, from those that are known.

Stages: the float model in each precision; layers kept in float where int8 loses too much; pruning with the best of
these at two ratios; the largest that keeps the quality in the other formats; then, with the best of all, bisection
between the largest ratio that keeps the quality and the smallest that does not.

The one decision: a move is a pure function of what was measured, so that a stopped search goes on by asking it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from harness.records.measurement import CellStatus
from harness.search.points import Findings, Point
from harness.spec.recipe import KeepFloat, Precision, Prune, Quantisation, Recipe
from harness.spec.shorthand import MIXED_SHARE
from harness.wire import Format

# Shares of the layers kept in float, one after the other while the quality is still lost.
MIXED_SHARES = (MIXED_SHARE, 0.25)
FIRST_RATIOS = (50, 75)
# Per cent: finer steps of the ratio are within what training again varies by.
FINEST_STEP = 10
ROUND_TO = 5
MOST_RATIO = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What to try next, in this order, and why."""

    pairs: tuple[tuple[Recipe, Format], ...]
    why: str


def next_move(found: Findings, formats: Sequence[Format]) -> Move | None:
    """Return what to try next of ``formats``, None when the walk is over; at most what the budget has left."""
    tried = {(p.recipe.name, p.cell.format) for p in found.points}
    left = found.goal.budget - builds_done(found)
    for move in _moves(found, formats):
        fresh = tuple(pair for pair in move.pairs if (pair[0].name, pair[1]) not in tried)
        if fresh:
            return replace(move, pairs=fresh[:left]) if left > 0 else None
    return None


def builds_done(found: Findings) -> int:
    """Return how many builds the points took; what the table of holes refused was never built."""
    return sum(1 for p in found.points if p.status is not CellStatus.UNSUPPORTED or p.bytes is not None)


def _moves(found: Findings, formats: Sequence[Format]) -> Iterator[Move]:
    """The moves of the whole walk as far as what is known leads."""
    recipes = [Recipe(name=p.value, precision=p) for p in found.goal.precisions]
    yield Move(pairs=tuple((r, f) for r in recipes for f in formats), why="the float model in each precision")
    for share in MIXED_SHARES:
        lost = [f for f in formats if _misses(found, f)]
        words = f"int8 loses too much: {share:.0%} of the layers stay float"
        yield Move(pairs=tuple((_mixed(share), f) for f in lost), why=words)
    base = found.best([p for p in found.kept if not p.recipe.steps])
    if base is None:
        return
    yield from _prunings(found, base, formats)


def _misses(found: Findings, format_: Format) -> bool:
    """Whether int8 ran in ``format_`` and lost too much, and no mixed set tried so far mends it."""
    int8 = [p for p in found.points if p.cell.format is format_ and p.recipe.precision is Precision.INT8]
    tried = [p for p in int8 if not p.recipe.steps and p.status in (CellStatus.OK, CellStatus.BROKEN)]
    return bool(tried) and not any(found.keeps(p) for p in tried)


def _mixed(share: float) -> Recipe:
    """Static int8 with a share of the layers in float, named as on the command line where that has a name."""
    name = "int8-mixed" if share == MIXED_SHARE else f"int8-keep{share * 100:.0f}"
    keep = Quantisation(keep_float=KeepFloat(share=share))
    return Recipe(name=name, precision=Precision.INT8, quantisation=keep)


def _pruned(percent: int, base: Recipe) -> Recipe:
    name = f"prune{percent}" if base.precision is Precision.FP32 else f"prune{percent}+{base.name}"
    return msgspec.structs.replace(base, name=name, steps=(Prune(ratio=percent / 100),))


def _prunings(found: Findings, base: Point, formats: Sequence[Format]) -> Iterator[Move]:
    """Two ratios at once, which costs one start of the workers; then other formats; then one ratio after another."""
    words = f"pruning with {base.recipe.name} as {base.cell.format.value}"
    yield Move(pairs=tuple((_pruned(n, base.recipe), base.cell.format) for n in FIRST_RATIOS), why=words)
    ratios = _ratios(found, base)
    # A network that cannot be pruned, or whose training diverges, is the same at any ratio.
    if not any(status in (CellStatus.OK, CellStatus.BROKEN) for status, _ in ratios.values()):
        return
    kept = max((n for n in FIRST_RATIOS if n in ratios and ratios[n][1]), default=0)
    if kept:
        others = [p for f in formats if f is not base.cell.format and (p := _best_of(found, f))]
        pairs = tuple((_pruned(kept, p.recipe), p.cell.format) for p in others)
        yield Move(pairs=pairs, why=f"{kept} % of the channels removed in the other formats")
    yield from _bisection(found, _champion(found, base), base)


def _champion(found: Findings, base: Point) -> Point:
    """The float point whose pruned form is the best so far."""
    best = found.best([p for p in found.kept if p.recipe.steps])
    if best is None or best.cell.format is base.cell.format:
        return base
    return _best_of(found, best.cell.format) or base


def _bisection(found: Findings, champion: Point, base: Point) -> Iterator[Move]:
    """A ratio in the middle of what is open; what ``base`` lost bounds a champion that has lost nothing yet."""
    ratios = _ratios(found, champion)
    low = max((n for n, (_, keeps) in ratios.items() if keeps), default=0)
    lost = [n for known in (ratios, _ratios(found, base)) for n, (_, keeps) in known.items() if not keeps and n > low]
    high = min(lost, default=100)
    middle = round((low + high) / 2 / ROUND_TO) * ROUND_TO
    if high - low > FINEST_STEP and middle <= MOST_RATIO:
        words = f"between {low} % that keep the quality and {high} %, {champion.recipe.name}"
        yield Move(pairs=((_pruned(middle, champion.recipe), champion.cell.format),), why=words)


def _ratios(found: Findings, base: Point) -> dict[int, tuple[CellStatus, bool]]:
    """By per cent pruned: how that point of ``base`` ended, and whether it keeps the quality."""
    known: dict[int, tuple[CellStatus, bool]] = {}
    for point in found.points:
        steps = point.recipe.steps
        if len(steps) != 1 or not isinstance(steps[0], Prune) or point.cell.format is not base.cell.format:
            continue
        percent = round(steps[0].ratio * 100)
        if point.recipe == _pruned(percent, base.recipe):
            known[percent] = (point.status, found.keeps(point))
    return known


def _best_of(found: Findings, format_: Format) -> Point | None:
    return found.best([p for p in found.kept if not p.recipe.steps and p.cell.format is format_])
