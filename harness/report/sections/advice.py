"""The recommendation in plain words, from a ranking: a headline, then one sentence per limit on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.records import units
from harness.records.conditions import ConditionId
from harness.records.metrics import ACCURACY
from harness.report.ranking import MIN_AGREEMENT, MIN_SQNR_DB, Quality, QualityBasis, Ranking, median_ns
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.report.view import CellView, labels, memory_growth
from harness.spec.profiles import PROFILES
from harness.spec.recipe import Precision

# The notes on the profile and on desktop CPUs say these already.
_SAID_BY_A_NOTE = (ConditionId.INDICATIVE, ConditionId.DESKTOP_CPU)

_PAGE = """\
<section aria-label="What to ship">
{% for item in advice %}
<div class="card advice">
  {% if advice | length > 1 %}<h3>{{ item.model }} on {{ item.device }}</h3>{% endif %}
  <p class="headline">{{ item.headline }}</p>
  {% if item.notes %}
  <ul>{% for note in item.notes %}<li>{{ note }}</li>{% endfor %}</ul>
  {% endif %}
</div>
{% else %}
<div class="card advice"><p class="headline">The plan of this run has no cells.</p></div>
{% endfor %}
</section>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to ship of one model on one device: a sentence, and what limits it."""

    model: str
    device: str
    headline: str
    notes: tuple[str, ...]


def lines(report: Report) -> Iterator[Line]:
    """Yield the advice per model and device. A search has its own goal and gives its own answer."""
    if report.head.goal is not None:
        return
    for ranking in report.rankings:
        advice = advise(ranking)
        yield Line(text=advice.headline, tone=Tone.GOOD if ranking.best else Tone.STRONG)
        yield from (Line(text=f"  {note}", tone=Tone.QUIET) for note in advice.notes)


def html(report: Report) -> Fragment:
    """Return a box per model and device."""
    return Fragment(template=_PAGE, values={"advice": [advise(ranking) for ranking in report.rankings]})


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: scripts draw their own conclusions from the cells."""
    return {}


def advise(ranking: Ranking) -> Advice:
    """Put ``ranking`` into words."""
    names = labels(ranking.ok)
    notes = (
        _desktop_note(ranking, names),
        _tie_note(ranking, names),
        _lost_note(ranking, names),
        _basis_note(ranking),
        _profile_note(ranking),
        _condition_note(ranking),
    )
    return Advice(
        model=ranking.model,
        device=ranking.device,
        headline=_headline(ranking, names),
        notes=tuple(note for note in notes if note),
    )


def _headline(ranking: Ranking, names: dict[str, str]) -> str:
    where = f"{ranking.model} on {ranking.device}"
    if not ranking.ok:
        return f"Nothing can be recommended: no cell of {where} has run to its end."
    if ranking.best is not None:
        return _ship(ranking, ranking.best, names)
    if ranking.smallest is None:
        return f"Nothing can be recommended: no variant of {where} keeps the quality of the float model."
    return _smallest(ranking.smallest, names, judged=ranking.basis is not QualityBasis.NOTHING)


def _ship(ranking: Ranking, best: CellView, names: dict[str, str]) -> str:
    words = f"Ship {names[best.cell.key]}: {units.time(median_ns(best))} per call"
    # Of all formats: what matters is what the user could ship without any optimisation.
    floats = [v for v in ranking.ok if v.cell.variant == Precision.FP32 and v.latency]
    fastest = min(floats, key=median_ns, default=None)
    if fastest is not None and fastest is not best:
        times = median_ns(fastest) / median_ns(best)
        words += (
            f", {times:.1f}× as fast as the fastest fp32 ({names[fastest.cell.key]}, {units.time(median_ns(fastest))})"
        )
    return f"{words}{_quality_words(best)}{_size_words(best)}."


def _smallest(view: CellView, names: dict[str, str], *, judged: bool) -> str:
    which = "The smallest file that keeps the quality" if judged else "The smallest file, whatever its quality,"
    words = f"{which} is {names[view.cell.key]}"
    growth = memory_growth(view.memory)
    peak = growth.peak_bytes if growth else None
    memory = f"; it adds {units.size(peak)} of memory at its peak" if peak is not None else ""
    quality = _quality_words(view) if judged else ""
    return f"{words}{_size_words(view)}{quality}{memory}."


def _quality_words(view: CellView) -> str:
    if view.accuracy is not None:
        return f", {units.percent(view.accuracy.value)} {view.accuracy.metric}"
    if view.agreement is not None:
        return f", the float model's answer on {units.percent(view.agreement)} of the inputs"
    return ""


def _size_words(view: CellView) -> str:
    if view.artifact is None:
        return ""
    ratio = f" ({units.ratio(view.size_ratio)} its fp32 file)" if view.size_ratio and view.size_ratio != 1 else ""
    return f", {units.size(view.artifact.bytes)}{ratio}"


def _desktop_note(ranking: Ranking, names: dict[str, str]) -> str | None:
    if not any(c.id is ConditionId.DESKTOP_CPU for v in ranking.ok for c in v.conditions):
        return None
    words = (
        "To find the fastest variant, measure on a phone: the speed of fp16 and int8 on a desktop CPU does not predict "
        "their speed on a phone. Size, accuracy and the values of the outputs do carry over."
    )
    if ranking.candidates:
        best = ranking.candidates[0]
        name, time = names[best.cell.key], units.time(median_ns(best))
        if len(ranking.candidates) == 1:
            words += f" Here, {name} takes {time} per call."
        else:
            # Ready-made files are not fp32 files: what is in them is not known.
            among = "Among the fp32 files" if best.cell.variant == Precision.FP32 else "Of these cells"
            words += f" {among}, {name} is the fastest here ({time})."
    return words


def _tie_note(ranking: Ranking, names: dict[str, str]) -> str | None:
    if not ranking.as_fast or ranking.best is None:
        return None
    listed = ", ".join(names[v.cell.key] for v in ranking.as_fast)
    return f"No measurable difference in speed: {listed}."


def _lost_note(ranking: Ranking, names: dict[str, str]) -> str | None:
    lost = [names[v.cell.key] for v in ranking.ok if ranking.quality[v.cell.key] is Quality.LOST]
    return f"Left out because they lose quality: {', '.join(lost)}." if lost else None


def _basis_note(ranking: Ranking) -> str | None:
    match ranking.basis:
        case QualityBasis.ACCURACY:
            points = 100 * ACCURACY.absolute_tolerance
            return (
                f"A cell keeps the quality when it is at most {points:g} percentage point below the fp32 accuracy of "
                f"{units.percent(ranking.reference)}."
            )
        case QualityBasis.AGREEMENT:
            return (
                "Accuracy was not measured: a cell keeps the quality when it agrees with the float model on "
                f"{MIN_AGREEMENT:.0%} of the inputs."
            )
        case QualityBasis.SQNR:
            return f"Accuracy was not measured: a cell keeps the quality when its SQNR is at least {MIN_SQNR_DB:g} dB."
        case QualityBasis.NOTHING:
            return (
                "Neither accuracy nor fidelity could be judged; only speed, memory and size are known."
                if ranking.ok
                else None
            )


def _profile_note(ranking: Ranking) -> str | None:
    if not any(PROFILES[v.cell.profile].indicative for v in ranking.ok):
        return None
    return "This is a first look: one launch per cell gives no interval. Use --profile standard to decide."


def _condition_note(ranking: Ranking) -> str | None:
    """The names of the conditions of the recommended cell; the section on conditions explains them."""
    chosen = ranking.best or ranking.smallest
    ids = [c.id.value for c in chosen.conditions if c.id not in _SAID_BY_A_NOTE] if chosen else []
    return f"Conditions of this cell: {', '.join(ids)}." if ids else None
