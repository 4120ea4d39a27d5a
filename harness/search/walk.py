"""The walk of a search: which points to try next, given those measured so far.

The stages are: the float model in each precision; keeping layers in float where int8 loses too much; pruning the best
of these at two ratios; the largest ratio that keeps the quality, in the other formats; and finally, with the best of
all, bisection between the largest ratio that keeps the quality and the smallest that does not.

A move depends only on what was measured, so a search is resumed by asking for the next move.
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

# Shares of the layers to keep in float, tried one after the other until the quality is kept.
MIXED_SHARES = (MIXED_SHARE, 0.25)
FIRST_RATIOS = (50, 75)
# Per cent. Retraining varies by more than finer steps of the ratio would change.
FINEST_STEP = 10
# Rounded ratios give names that a person would type, such as prune65.
ROUND_TO = 5
# Beyond this hardly a channel is left.
MOST_RATIO = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What to try next, in this order, and the reason."""

    pairs: tuple[tuple[Recipe, Format], ...]
    why: str


def next_move(findings: Findings, formats: Sequence[Format]) -> Move | None:
    """Return what to try next in ``formats``, within the budget; None at the end of the walk."""
    tried = {(p.recipe.name, p.cell.format) for p in findings.points}
    left = findings.goal.budget - builds_done(findings)
    for move in _moves(findings, formats):
        # Moves are generated anew from the start each time; what was tried already drops out here.
        fresh = tuple(pair for pair in move.pairs if (pair[0].name, pair[1]) not in tried)
        if fresh:
            return replace(move, pairs=fresh[:left]) if left > 0 else None
    return None


def builds_done(findings: Findings) -> int:
    """Return how many builds the points took. Cells that the support table refused were never built."""
    return sum(1 for p in findings.points if p.status is not CellStatus.UNSUPPORTED or p.bytes is not None)


def not_pruned(findings: Findings) -> tuple[Point, ...]:
    """Return the points that keep the quality and were not pruned because they are slower than fp32 of their format."""
    plain = [p for p in findings.kept if not p.recipe.steps and findings.is_too_slow(p)]
    pruned = {(p.recipe.precision, p.cell.format) for p in findings.points if p.recipe.steps}
    return tuple(p for p in plain if pruned and (p.recipe.precision, p.cell.format) not in pruned)


def _moves(findings: Findings, formats: Sequence[Format]) -> Iterator[Move]:
    """The moves of the whole walk, as far as the results so far allow."""
    recipes = [Recipe(name=p.value, precision=p) for p in findings.goal.precisions]
    yield Move(pairs=tuple((r, f) for r in recipes for f in formats), why="the float model in each precision")
    for share in MIXED_SHARES:
        lost = [f for f in formats if _misses(findings, f)]
        words = f"int8 loses too much quality, so {share:.0%} of the layers stay in float"
        yield Move(pairs=tuple((_mixed(share), f) for f in lost), why=words)
    base = findings.best([p for p in findings.kept if not p.recipe.steps])
    if base is None:
        return
    yield from _prunings(findings, base, formats)


def _misses(findings: Findings, format_: Format) -> bool:
    """Whether int8 ran in ``format_`` and lost too much, and no mixed precision tried so far keeps the quality."""
    int8 = [p for p in findings.points if p.cell.format is format_ and p.recipe.precision is Precision.INT8]
    tried = [p for p in int8 if not p.recipe.steps and p.status in (CellStatus.OK, CellStatus.BROKEN)]
    return bool(tried) and not any(findings.keeps(p) for p in tried)


def _mixed(share: float) -> Recipe:
    """Static int8 with a share of the layers in float, under its command-line name if it has one."""
    name = "int8-mixed" if share == MIXED_SHARE else f"int8-keep{share * 100:.0f}"
    keep = Quantisation(keep_float=KeepFloat(share=share))
    return Recipe(name=name, precision=Precision.INT8, quantisation=keep)


def _pruned(percent: int, base: Recipe) -> Recipe:
    name = f"prune{percent}" if base.precision is Precision.FP32 else f"prune{percent}+{base.name}"
    return msgspec.structs.replace(base, name=name, steps=(Prune(ratio=percent / 100),))


def _prunings(findings: Findings, base: Point, formats: Sequence[Format]) -> Iterator[Move]:
    """Two ratios at once, to start the workers only once; then the other formats; then one ratio at a time."""
    words = f"pruning with {base.recipe.name} as {base.cell.format.value}"
    yield Move(pairs=tuple((_pruned(n, base.recipe), base.cell.format) for n in FIRST_RATIOS), why=words)
    ratios = _ratios(findings, base)
    # If neither ratio gave a network that runs, no other will: it cannot be pruned, or its training diverges.
    if not any(status in (CellStatus.OK, CellStatus.BROKEN) for status, _ in ratios.values()):
        return
    kept = max((n for n in FIRST_RATIOS if n in ratios and ratios[n][1]), default=0)
    if kept:
        others = [p for f in formats if f is not base.cell.format and (p := _best_of(findings, f))]
        pairs = tuple((_pruned(kept, p.recipe), p.cell.format) for p in others)
        yield Move(pairs=pairs, why=f"{kept} % of the channels removed in the other formats")
    yield from _bisection(findings, _champion(findings, base), base)


def _champion(findings: Findings, base: Point) -> Point:
    """The unpruned point whose pruned form is the best so far."""
    best = findings.best([p for p in findings.kept if p.recipe.steps])
    if best is None or best.cell.format is base.cell.format:
        return base
    return _best_of(findings, best.cell.format) or base


def _bisection(findings: Findings, champion: Point, base: Point) -> Iterator[Move]:
    """A ratio halfway between those that keep and lose the quality.

    Ratios that lost it for ``base`` also bound a ``champion`` in another format, which may not have lost it yet.
    """
    ratios = _ratios(findings, champion)
    low = max((n for n, (_, keeps) in ratios.items() if keeps), default=0)
    both = (ratios, _ratios(findings, base))
    lost = [n for tried in both for n, (_, keeps) in tried.items() if not keeps and n > low]
    high = min(lost, default=100)
    middle = round((low + high) / 2 / ROUND_TO) * ROUND_TO
    if high - low > FINEST_STEP and middle <= MOST_RATIO:
        words = f"{champion.recipe.name} between {low} % pruned, which keeps the quality, and {high} %"
        yield Move(pairs=((_pruned(middle, champion.recipe), champion.cell.format),), why=words)


def _ratios(findings: Findings, base: Point) -> dict[int, tuple[CellStatus, bool]]:
    """How each pruned point of ``base`` ended, and whether it keeps the quality, by per cent pruned."""
    by_percent: dict[int, tuple[CellStatus, bool]] = {}
    for point in findings.points:
        steps = point.recipe.steps
        if len(steps) != 1 or not isinstance(steps[0], Prune) or point.cell.format is not base.cell.format:
            continue
        percent = round(steps[0].ratio * 100)
        if point.recipe == _pruned(percent, base.recipe):
            by_percent[percent] = (point.status, findings.keeps(point))
    return by_percent


def _best_of(findings: Findings, format_: Format) -> Point | None:
    return findings.best([p for p in findings.kept if not p.recipe.steps and p.cell.format is format_])
