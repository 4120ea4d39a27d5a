"""The recommendation in plain words, from a ranking.

The one decision: a headline that stands on its own, then one sentence for each thing that limits it.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.records import units
from harness.records.conditions import ConditionId
from harness.records.metrics import ACCURACY
from harness.report.sections.ranking import MIN_AGREEMENT, MIN_SQNR_DB, Quality, QualityBasis, Ranking, median_ns
from harness.report.view import CellView, labels, memory_growth
from harness.spec.profiles import PROFILES
from harness.spec.recipe import Precision

# Told once for the whole run by the profile itself, or by the sentence on desktop CPUs.
_SAID_ELSEWHERE = (ConditionId.INDICATIVE, ConditionId.DESKTOP_CPU)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to ship of one model on one device: a sentence, and what to know about it."""

    model: str
    device: str
    headline: str
    notes: tuple[str, ...]


def advise(ranking: Ranking) -> Advice:
    """Word what ``ranking`` found."""
    names = labels(ranking.ok)
    notes = [
        _desktop_note(ranking, names),
        _tie_note(ranking, names),
        _lost_note(ranking, names),
        _basis_note(ranking),
        _profile_note(ranking),
        *_condition_notes(ranking),
    ]
    return Advice(
        model=ranking.model,
        device=ranking.device,
        headline=_headline(ranking, names),
        notes=tuple(n for n in notes if n),
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
    words = f"Ship {names[best.cell.key]}: {units.time(median_ns(best))} a call"
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
        "Which variant is fastest needs a phone: this was measured on a desktop CPU, where the speed of fp16 and int8 "
        "says nothing about a phone. Size, accuracy and the numbers of the outputs do carry over."
    )
    if ranking.candidates:
        best = ranking.candidates[0]
        words += f" Among the fp32 files {names[best.cell.key]} is the fastest here ({units.time(median_ns(best))})."
    return words


def _tie_note(ranking: Ranking, names: dict[str, str]) -> str | None:
    if not ranking.as_fast or ranking.best is None:
        return None
    listed = ", ".join(names[v.cell.key] for v in ranking.as_fast)
    return f"Not told apart from it in speed: {listed}."


def _lost_note(ranking: Ranking, names: dict[str, str]) -> str | None:
    lost = [names[v.cell.key] for v in ranking.ok if ranking.quality[v.cell.key] is Quality.LOST]
    return f"Left out for their quality: {', '.join(lost)}." if lost else None


def _basis_note(ranking: Ranking) -> str | None:
    match ranking.basis:
        case QualityBasis.ACCURACY:
            points = 100 * ACCURACY.absolute_tolerance
            return (
                f"Kept are cells at most {points:g} percentage point below the fp32 accuracy of "
                f"{units.percent(ranking.reference)}."
            )
        case QualityBasis.AGREEMENT:
            return f"Accuracy was not measured; kept are cells that agree with the float model on {MIN_AGREEMENT:.0%}."
        case QualityBasis.SQNR:
            return f"Accuracy was not measured; kept are cells with an SQNR of at least {MIN_SQNR_DB:g} dB."
        case QualityBasis.NOTHING:
            return (
                "Neither accuracy nor fidelity could be judged: speed, memory and size are all that is known."
                if ranking.ok
                else None
            )


def _profile_note(ranking: Ranking) -> str | None:
    if not any(PROFILES[v.cell.profile].indicative for v in ranking.ok):
        return None
    return "The quick profile is indicative: one launch a cell has no interval. Use --profile standard to decide."


def _condition_notes(ranking: Ranking) -> list[str]:
    chosen = ranking.best or ranking.smallest
    conditions = chosen.conditions if chosen else ()
    return [f"{c.id.value}: {c.summary.rstrip('.')}." for c in conditions if c.id not in _SAID_ELSEWHERE]
