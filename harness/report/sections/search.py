"""The result of a search: what to ship, how the drop was judged, and the front.

The terminal, the page and the JSON of ``phonebench search`` use the same sentences, which are made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.records import units
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.spec.goal import Minimise
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from harness.search.points import Findings, Point

# 1 (2026-11): the first.
SCHEMA = 1

TITLES = ("variant", "format", "latency", "size", "drop\npp", "compared with fp32", "")
# Left-aligned; the others hold figures.
_WORD_COLUMNS = (0, 1, 5, 6)

_PAGE = """\
<section aria-label="Search result">
<div class="card advice">
  <h3>Search result</h3>
  <p class="headline">{{ headline }}</p>
  <ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
  {% if rows %}
  <div class="scroll front"><table>
    <thead><tr>
    {% for title in titles %}
      <th class="{{ "word" if loop.index0 in word_columns else "" }}" scope="col">{{ title }}</th>
    {% endfor %}
    </tr></thead>
    <tbody>
    {% for row in rows %}
      <tr>
      {% for text in row %}
        <td class="{{ "word" if loop.index0 in word_columns else "" }}">{{ text }}</td>
      {% endfor %}
      </tr>
    {% endfor %}
    </tbody>
  </table></div>
  {% endif %}
</div>
</section>
"""


def lines(report: Report) -> Iterator[Line]:
    """Yield what to ship and its limits."""
    findings = findings_of(report.run)
    if findings is not None:
        yield Line(text=headline(findings), tone=Tone.GOOD if findings.ship else Tone.STRONG)
        yield from (Line(text=f"  {note}", tone=Tone.QUIET) for note in notes(findings))


def html(report: Report) -> Fragment | None:
    """Return the box on top of the page of a search, with the front."""
    findings = findings_of(report.run)
    if findings is None:
        return None
    values = {"headline": headline(findings), "notes": notes(findings), "titles": TITLES, "rows": front_rows(findings)}
    return Fragment(template=_PAGE, values=values | {"word_columns": _WORD_COLUMNS})


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: ``phonebench search --json`` prints `search_json`."""
    return {}


def findings_of(run: RunRecord) -> Findings | None:
    """Return the findings of a search; None for a run that was no search."""
    if run.head.goal is None:
        return None
    from harness.search.points import findings

    return findings(run, run.head.goal)


def headline(findings: Findings) -> str:
    """Return what to ship, in one sentence."""
    limit = f"a drop of at most {100 * findings.goal.max_drop:g} pp"
    if findings.ship is None:
        return f"Nothing to ship: none of {len(findings.points)} points ran with {limit}."
    point = findings.ship
    drop = "" if point.drop is None else f", a drop of {drop_text(point)} pp"
    return (
        f"Ship {name(point)}: {units.size(point.bytes)} and {units.time(point.latency_ns)} per call{drop}"
        f"{_against(findings, point)}."
    )


def notes(findings: Findings) -> tuple[str, ...]:
    """Return the limits of the headline: how the drop was judged, where latency was measured, what did not run."""
    sentences = [_basis_note(findings)]
    if any(ConditionId.DESKTOP_CPU in p.conditions for p in findings.points):
        sentences.append(
            "Latency was measured on a desktop CPU, where the speed of fp16 and int8 does not predict their speed on a "
            "phone: repeat the search with the phone as the device before relying on it."
        )
    if any(ConditionId.SIMULATED in p.conditions for p in findings.points):
        sentences.append("The latencies are made up: a scripted device reported them.")
    if findings.ship is not None and findings.goal.minimise is Minimise.SIZE:
        smaller = [p for p in findings.kept if p.value(Minimise.SIZE) < findings.ship.value(Minimise.SIZE)]
        sentences += [f"Smaller, but slower than fp32: {', '.join(name(p) for p in smaller)}."] if smaller else []
        if findings.is_slower(findings.ship):
            sentences.append("No point that keeps the quality is as fast as fp32.")
    without_results = [p for p in findings.points if p.status is not CellStatus.OK]
    if without_results:
        sentences.append(
            f"{len(without_results)} of {len(findings.points)} points have no results; the cells give the reasons."
        )
    return tuple(sentences)


def front_rows(findings: Findings) -> list[tuple[str, ...]]:
    """Return one row of text per point of the front; the columns are `TITLES`."""
    return [_row(findings, point) for point in findings.front]


def search_json(run: RunRecord, findings: Findings, *, ended: str, spec_file: str | None) -> dict[str, Any]:
    """Return the result of a search as plain values: ns, bytes, shares 0…1; None for what was not measured."""
    import msgspec

    from harness.search.walk import builds_done

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
    outcome = "ship" if point is findings.ship else "" if findings.keeps(point) else "drops too much"
    return (
        point.recipe.name,
        point.cell.format.value,
        units.time(point.latency_ns),
        units.size(point.bytes),
        drop_text(point),
        _ratios(findings, point),
        outcome,
    )


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
    from harness.search.points import DropBasis

    match findings.basis:
        case DropBasis.ACCURACY:
            return f"The drop is measured from the fp32 accuracy of {units.percent(findings.reference)}."
        case DropBasis.AGREEMENT:
            return (
                "Accuracy was not measured: the drop is the share of inputs where the answer differs from the float "
                "model's, which is at least the loss of accuracy."
            )
        case DropBasis.NOTHING:
            return "Neither accuracy nor agreement could be judged: every point that runs counts as kept."


def _point_json(findings: Findings, point: Point) -> dict[str, Any]:
    import msgspec

    return {
        "cell": point.cell.key,
        "variant": point.recipe.name,
        "format": point.cell.format.value,
        "status": point.status.value,
        "reason": point.reason,
        "drop": point.drop,
        "latency_ns": point.latency_ns,
        "bytes": point.bytes,
        "keeps": findings.keeps(point),
        "recipe": msgspec.to_builtins(point.recipe),
    }
