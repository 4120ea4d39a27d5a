"""What a search found, for people and scripts: what to ship, how the drop was judged, the front and every point.

The one decision: the same words in the terminal, in the HTML and in JSON, made here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.records import units
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus
from harness.search.points import DropBasis, Findings, Point, findings
from harness.search.walk import builds_done
from harness.spec.goal import Minimise
from harness.store.records import RunRecord

# 1 (2026-11): the first.
SCHEMA = 1

TITLES = ("variant", "format", "latency", "size", "drop\npp", "against fp32", "")


def findings_of(run: RunRecord) -> Findings | None:
    """Return what a run found as a search; None for a run that is none."""
    return None if run.head.goal is None else findings(run, run.head.goal)


def headline(found: Findings) -> str:
    """Return what to ship, in one sentence."""
    limit = f"a drop of at most {100 * found.goal.max_drop:g} pp"
    if found.ship is None:
        return f"Nothing to ship: none of {len(found.points)} points ran with {limit}."
    point = found.ship
    drop = "" if point.drop is None else f", a drop of {drop_text(point)} pp"
    return (
        f"Ship {name(point)}: {units.size(point.bytes)} and {units.time(point.latency_ns)} a call{drop}"
        f"{_against(found, point)}."
    )


def notes(found: Findings) -> tuple[str, ...]:
    """Return what limits the sentence: how the drop was judged, on what the latency was measured, what did not run."""
    said = [_basis_note(found)]
    if any(ConditionId.DESKTOP_CPU in p.conditions for p in found.points):
        said.append(
            "Latency was measured on a desktop CPU, where the speed of fp16 and int8 says nothing about a phone: "
            "search again with the phone as the device before its speed is relied on."
        )
    if any(ConditionId.SIMULATED in p.conditions for p in found.points):
        said.append("A scripted device made the latencies up.")
    if found.ship is not None and found.goal.minimise is Minimise.SIZE:
        smaller = [p for p in found.kept if p.value(Minimise.SIZE) < found.ship.value(Minimise.SIZE)]
        said += [f"Smaller, but slower than fp32: {', '.join(name(p) for p in smaller)}."] if smaller else []
        if found.is_slower(found.ship):
            said.append("No point that keeps the quality is as fast as fp32.")
    bad = [p for p in found.points if p.status is not CellStatus.OK]
    if bad:
        said.append(f"{len(bad)} of {len(found.points)} points gave no figures: their reasons stand with the cells.")
    return tuple(said)


def front_rows(found: Findings) -> list[tuple[str, ...]]:
    """Return a row of text a point of the front, under `TITLES`."""
    return [_row(found, point) for point in found.front]


def found_json(run: RunRecord, found: Findings, *, ended: str, spec_file: str | None) -> dict[str, Any]:
    """Return the outcome of a search as plain values: ns, bytes, shares 0…1; what was not measured is None."""
    return {
        "schema": SCHEMA,
        "run": run.head.id,
        "goal": msgspec.to_builtins(found.goal),
        "builds": builds_done(found),
        "ended": ended,
        "judged_by": found.basis.value,
        "reference_accuracy": found.reference,
        "points": [_plain(found, point) for point in found.points],
        "front": [point.cell.key for point in found.front],
        "ship": _plain(found, found.ship) if found.ship else None,
        "notes": list(notes(found)),
        "spec_file": spec_file,
    }


def name(point: Point) -> str:
    """Return what a point is called: its variant and format."""
    return f"{point.recipe.name} {point.cell.format.value}"


def drop_text(point: Point) -> str:
    """Return the drop in percentage points with two digits, below zero where the quality rose."""
    return units.NONE if point.drop is None else f"{100 * point.drop + 0.0:.2f}"


def _row(found: Findings, point: Point) -> tuple[str, ...]:
    shipped = "ship" if point is found.ship else "" if found.keeps(point) else "drops too much"
    return (
        point.recipe.name,
        point.cell.format.value,
        units.time(point.latency_ns),
        units.size(point.bytes),
        drop_text(point),
        _ratios(found, point),
        shipped,
    )


def _against(found: Findings, point: Point) -> str:
    words = _ratios(found, point)
    return f" ({words} of fp32 as {point.cell.format.value})" if words else ""


def _ratios(found: Findings, point: Point) -> str:
    """How many times smaller and faster than fp32 of its format; empty for fp32 itself."""
    plain = found.plain(point)
    if plain is None or plain is point or not plain.bytes or not point.bytes:
        return ""
    words = f"1/{plain.bytes / point.bytes:.1f} the size"
    if plain.latency_ns and point.latency_ns:
        words += f", {point.latency_ns / plain.latency_ns:.2f}× the time"
    return words


def _basis_note(found: Findings) -> str:
    match found.basis:
        case DropBasis.ACCURACY:
            return f"The drop is counted from the fp32 accuracy of {units.percent(found.reference)}."
        case DropBasis.AGREEMENT:
            return (
                "Accuracy was not measured: the drop is the share of inputs on which the answer is not the float "
                "model's, which is more than accuracy would lose."
            )
        case DropBasis.NOTHING:
            return "Neither accuracy nor agreement could be judged: every point that runs counts as kept."


def _plain(found: Findings, point: Point) -> dict[str, Any]:
    return {
        "cell": point.cell.key,
        "variant": point.recipe.name,
        "format": point.cell.format.value,
        "status": point.status.value,
        "reason": point.reason,
        "drop": point.drop,
        "latency_ns": point.latency_ns,
        "bytes": point.bytes,
        "keeps": found.keeps(point),
        "recipe": msgspec.to_builtins(point.recipe),
    }
