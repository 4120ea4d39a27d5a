"""The result of a search in words and as JSON: what to ship, how the drop was judged, what was left out and why.

The terminal, the page and the JSON of ``phonebench search`` use the same sentences, which are made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

import msgspec

from harness.compare.quality import Quality
from harness.records import units
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus
from harness.report.listing import listed
from harness.search import points as search_points
from harness.search.points import DropBasis, Findings, Point
from harness.search.walk import builds_done, not_pruned
from harness.spec.goal import Minimise
from harness.store.records import RunRecord

# 1 (2026-11): the first.
SCHEMA = 1

TITLES = ("variant", "format", "latency", "size", "drop\npp", "compared with fp32", "outcome")
# Beyond this many names a list says how many more there are.
LISTED = 4
# Left-aligned; the others hold figures.
WORD_COLUMNS = (0, 1, 5, 6)


def findings_of(run: RunRecord) -> Findings | None:
    """Return the findings of a search; None for a run that was no search."""
    return None if run.head.goal is None else search_points.findings(run, run.head.goal)


def headline(findings: Findings) -> str:
    """Return what to ship, in one sentence."""
    limit = f"a drop of at most {_limit(findings)}"
    if findings.ship is None:
        return f"Nothing to ship: none of {len(findings.points)} points is shown or likely to have {limit}."
    point = findings.ship
    drop = "" if point.drop is None else f", a drop of {_drop_with_interval(findings, point)}"
    return (
        f"Ship {name(point)}: {units.size(point.bytes)} and {units.time(point.latency_ns)} per call{drop}"
        f"{_against(findings, point)}."
    )


def notes(findings: Findings) -> tuple[str, ...]:
    """Return the limits of the headline: how the drop was judged, what was left out and why, where it was measured."""
    sentences = (
        _basis_note(findings),
        _unproven_note(findings),
        _left_out(findings, Quality.LOST, f"Left out, shown to drop by more than {_limit(findings)}"),
        _left_out(findings, Quality.OPEN, f"Left out, not shown to drop by at most {_limit(findings)}"),
        _group_note(findings),
        *_slower_notes(findings),
        _choice_note(findings),
        _desktop_note(findings),
        _simulated_note(findings),
        _without_results(findings),
    )
    return tuple(sentence for sentence in sentences if sentence)


def _unproven_note(findings: Findings) -> str | None:
    """What the recommendation rests on where the test inputs do not show that its drop is small enough."""
    ship = findings.ship
    if ship is None or ship.judged is None or ship.judged.quality is not Quality.LIKELY:
        return None
    loss = ship.judged.loss
    shown = "" if loss is None else f"{loss.count} inputs cannot show that this drop is within the limit. "
    if ship.judged.closeness_db is not None and not ship.recipe.steps:
        return f"{shown}The point counts as kept because its outputs are close to the float model's."
    return f"{shown}The point counts as kept because its network was trained again and the measured drop is within it."


def _left_out(findings: Findings, quality: Quality, words: str) -> str | None:
    points = findings.of_quality(quality)
    return f"{words}: {_listed(points)}." if points else None


def _group_note(findings: Findings) -> str | None:
    """What the limit on single classes or groups left out, or that it could not be applied."""
    limit = findings.goal.max_group_drop
    ran = [p for p in findings.points if p.status is CellStatus.OK]
    if limit is None or not ran:
        return None
    if all(p.group is None or p.group.worst is None for p in ran):
        return "The limit on classes and groups was not applied: there are no classes, and the data name no groups."
    failed = [p for p in ran if findings.fails_a_group(p)]
    words = [f"{name(p)} ({p.group.kind.value} {p.group.worst.name})" for p in failed if p.group and p.group.worst]
    if not words:
        return None
    return f"Left out, because one class or group dropped by more than {100 * limit:g} pp: {listed(words, LISTED)}."


def _slower_notes(findings: Findings) -> Iterator[str]:
    """The points that keep the quality and were passed over for their speed, and what was not tried because of it."""
    ship = findings.ship
    if ship is None:
        return
    desktop = any(ConditionId.DESKTOP_CPU in p.conditions for p in findings.points)
    where = " on this desktop CPU, which does not show that they are slower on a phone" if desktop else ""
    if findings.goal.minimise is Minimise.SIZE:
        smaller = [p for p in findings.kept if p.value(Minimise.SIZE) < ship.value(Minimise.SIZE)]
        passed_over = [p for p in smaller if findings.is_too_slow(p)]
        if passed_over:
            yield f"Smaller, but slower than fp32: {_listed(passed_over)}."
        if findings.is_too_slow(ship):
            yield "No point that keeps the quality is as fast as fp32."
        elif findings.is_slower(ship):
            yield f"{name(ship)} is slower than fp32{where.replace('they are', 'it is')}, so that it does not count."
    untried = not_pruned(findings)
    if untried:
        yield f"Not pruned, because they are slower than fp32{where}: {_listed(untried)}."


def _choice_note(findings: Findings) -> str | None:
    """That the choice has seen the inputs on which it is judged."""
    judged = [p for p in findings.points if p.drop is not None]
    if findings.basis not in (DropBasis.ACCURACY, DropBasis.SCORE) or len(judged) < 2:
        return None
    return (
        f"The choice among {len(judged)} points was made on the test inputs, so their drops look a little better than "
        "they are: check the file to ship on data that the search has not seen."
    )


def _desktop_note(findings: Findings) -> str | None:
    if not any(ConditionId.DESKTOP_CPU in p.conditions for p in findings.points):
        return None
    return (
        "Latency was measured on a desktop CPU, where the speed of fp16 and int8 does not predict their speed on a "
        "phone: repeat the search with the phone as the device before relying on it."
    )


def _simulated_note(findings: Findings) -> str | None:
    simulated = any(ConditionId.SIMULATED in p.conditions for p in findings.points)
    return "The latencies are made up: a scripted device reported them." if simulated else None


def _without_results(findings: Findings) -> str | None:
    count = sum(1 for p in findings.points if p.status is not CellStatus.OK)
    return f"{count} of {len(findings.points)} points have no results; the cells give the reasons." if count else None


def _listed(points: Sequence[Point]) -> str:
    return listed([name(point) for point in points], LISTED)


def _limit(findings: Findings) -> str:
    unit = "pp" if findings.in_points else "%"
    return f"{100 * findings.goal.max_drop:g} {unit}"


def _drop_with_interval(findings: Findings, point: Point) -> str:
    """The drop with its unit and its 95 % interval, if the answers were compared input by input."""
    unit = "pp" if findings.in_points else "%"
    bounds = drop_bounds(findings, point)
    interval = f" (95 %: {100 * bounds[0]:.2f} to {100 * bounds[1]:.2f})" if bounds else ""
    return f"{drop_text(point)} {unit}{interval}"


def drop_bounds(findings: Findings, point: Point) -> tuple[float, float] | None:
    """Return the 95 % interval of the drop, on its scale; None without one."""
    loss = point.judged.loss if point.judged else None
    if loss is None or loss.low is None or loss.high is None:
        return None
    scale = findings.goal.max_drop / loss.limit if loss.limit else 1.0
    return loss.low * scale, loss.high * scale


def front_rows(findings: Findings) -> list[tuple[str, ...]]:
    """Return one row of text per point of the front; the columns are `TITLES`."""
    return [_row(findings, point) for point in findings.front]


def search_json(run: RunRecord, findings: Findings, *, ended: str, spec_file: str | None) -> dict[str, Any]:
    """Return the result of a search as plain values: ns, bytes, shares 0…1; None for what was not measured."""
    return {
        "schema": SCHEMA,
        "run": run.head.id,
        "goal": msgspec.to_builtins(findings.goal),
        "builds": builds_done(findings),
        "ended": ended,
        "judged_by": findings.basis.value,
        "reference_accuracy": findings.reference,
        "points": [_point_json(findings, point) for point in findings.points],
        "front": [point.cell.key for point in findings.front],
        "ship": _point_json(findings, findings.ship) if findings.ship else None,
        "notes": list(notes(findings)),
        "spec_file": spec_file,
    }


def name(point: Point) -> str:
    """Return the name of a point: its variant and format."""
    return f"{point.recipe.name} {point.cell.format.value}"


def drop_text(point: Point) -> str:
    """Return the drop in percentage points with two digits, negative where the quality rose."""
    # Adding 0.0 turns -0.0 into 0.0, so that "no drop" has no sign.
    return units.NONE if point.drop is None else f"{100 * point.drop + 0.0:.2f}"


def _row(findings: Findings, point: Point) -> tuple[str, ...]:
    outcome = "ship" if point is findings.ship else "" if findings.keeps(point) else _left_out_word(findings, point)
    return (
        point.recipe.name,
        point.cell.format.value,
        units.time(point.latency_ns),
        units.size(point.bytes),
        drop_text(point),
        _ratios(findings, point),
        outcome,
    )


def _left_out_word(findings: Findings, point: Point) -> str:
    if point.judged is None or point.judged.quality is Quality.LOST:
        return "drops too much"
    if point.group is not None and findings.fails_a_group(point):
        return f"one {point.group.kind.value} drops too much"
    return "not shown to be good enough"


def _against(findings: Findings, point: Point) -> str:
    words = _ratios(findings, point)
    return f" ({words} of fp32 as {point.cell.format.value})" if words else ""


def _ratios(findings: Findings, point: Point) -> str:
    """Size and time as ratios to fp32 of the same format; empty for fp32 itself."""
    plain = findings.plain(point)
    if plain is None or plain is point or not plain.bytes or not point.bytes:
        return ""
    words = f"1/{plain.bytes / point.bytes:.1f} the size"
    if plain.latency_ns and point.latency_ns:
        words += f", {point.latency_ns / plain.latency_ns:.2f}× the time"
    return words


def _basis_note(findings: Findings) -> str:
    reference = findings.reference
    match findings.basis:
        case DropBasis.ACCURACY:
            return f"The drop is measured from the float model's accuracy of {units.percent(reference)}."
        case DropBasis.SCORE:
            value = units.NONE if reference is None else units.significant(reference)
            scale = "percentage points" if findings.in_points else "per cent of it"
            return f"The drop is measured from the float model's {value} in the model's own metric, in {scale}."
        case DropBasis.AGREEMENT:
            return (
                "Accuracy was not measured: the drop is the share of inputs where the answer differs from the float "
                "model's, which is at least the loss of accuracy."
            )
        case DropBasis.SQNR:
            return "There is neither accuracy nor agreement: what counts is how close outputs are to the float model's."
        case DropBasis.NOTHING:
            return "Neither accuracy nor agreement could be judged: every point that runs counts as kept."
        case _:
            assert_never(findings.basis)


def _point_json(findings: Findings, point: Point) -> dict[str, Any]:
    bounds = drop_bounds(findings, point) or (None, None)
    return {
        "cell": point.cell.key,
        "variant": point.recipe.name,
        "format": point.cell.format.value,
        "status": point.status.value,
        "reason": point.reason,
        "drop": point.drop,
        "drop_low": bounds[0],
        "drop_high": bounds[1],
        "quality": point.judged.quality.value if point.judged else None,
        "latency_ns": point.latency_ns,
        "bytes": point.bytes,
        "keeps": findings.keeps(point),
        "worst_group": None if point.group is None or point.group.worst is None else point.group.worst.name,
        "worst_group_drop": None if point.group is None else point.group.worst_drop,
        "recipe": msgspec.to_builtins(point.recipe),
    }
