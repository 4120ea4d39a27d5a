"""The recommendation in plain words, from a ranking: a headline, then one sentence per limit on it.

Sentences that hold for every model are given once, so that a run of many models still has a short answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from harness.compare.quality import EXACT_DB, GOOD, LIMITS, Quality, QualityBasis, QualityFacts
from harness.records import units
from harness.records.conditions import ConditionId
from harness.report.chosen import LeftOut, chosen_from, left_out
from harness.report.listing import listed
from harness.report.ranking import Ranking, median_ns, on_software_gpu
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.report.view import CellView, file_labels, groups, labels, memory_growth, plain
from harness.spec.profiles import PROFILES, ProfileName
from harness.spec.recipe import Precision
from harness.stats.losses import LossVerdict, least_inputs

# The notes on the profile and on desktop CPUs say these already.
_SAID_BY_A_NOTE = (ConditionId.INDICATIVE, ConditionId.DESKTOP_CPU)
# Beyond this many names a list says how many more there are.
LISTED = 4
# Answers about more models and devices are a list without boxes of their own.
FEW_BOXES = 4
# Quality that was judged without right answers.
_UNLABELLED = (QualityBasis.NOTHING, QualityBasis.AGREEMENT, QualityBasis.SQNR)

_DESKTOP = (
    "To find the fastest variant, measure on a phone: the speed of fp16 and int8 on a desktop CPU does not predict it."
)
_FIRST_LOOK = "This is a first look: {}. Use --profile standard to decide."

_IMPORTED = (
    "Nothing is recommended among imported results: nobody checked what the files answer, and each program measures by "
    "its own rules."
)

_PAGE = """\
<section aria-label="What to ship">
<h2 class="unseen">What to ship</h2>
{% if advice | length > few %}
<div class="card advice"><ul class="many">
{% for item in advice %}
  <li><strong>{{ item.model }} on {{ item.device }}</strong>: {{ item.headline }}
    <details><summary>What it was chosen from</summary>
      {% for sentence in item.short %}<p>{{ sentence }}</p>{% endfor %}
      <dl>{% for group in item.left_out %}
      <dt>{{ group.names | length }} {{ group.words }}</dt><dd>{{ group.names | join(", ") }}</dd>
      {% endfor %}</dl>
      <ul>{% for note in item.why %}<li>{{ note }}</li>{% endfor %}</ul>
    </details></li>
{% endfor %}
</ul></div>
{% else %}
{% for item in advice %}
<div class="card advice">
  {% if advice | length > 1 %}<h3>{{ item.model }} on {{ item.device }}</h3>{% endif %}
  <p class="headline">{{ item.headline }}</p>
  {% for sentence in item.short %}<p>{{ sentence }}</p>{% endfor %}
  {% if item.left_out %}
  <details><summary>Left out, by reason</summary><dl>
    {% for group in item.left_out %}
    <dt>{{ group.names | length }} {{ group.words }}</dt><dd>{{ group.names | join(", ") }}</dd>
    {% endfor %}
  </dl></details>
  {% endif %}
  {% if item.why %}
  <details><summary>How it was chosen</summary>
    <ul>{% for note in item.why %}<li>{{ note }}</li>{% endfor %}</ul></details>
  {% endif %}
</div>
{% else %}
<div class="card advice"><p class="headline">{{ nothing }}</p></div>
{% endfor %}
{% endif %}
{% for note in general %}<p class="muted">{{ note }}</p>{% endfor %}
</section>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to ship of one model on one device: a sentence, and what limits it.

    ``general`` limits it as well, but is no more about this model than about the others. ``short`` are the one or two
    sentences that stand for the notes where there is little room.
    """

    model: str
    device: str
    headline: str
    notes: tuple[str, ...]
    general: tuple[str, ...]
    short: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """What the page shows of one model on one device: ``why`` and ``left_out`` are folded."""

    model: str
    device: str
    headline: str
    short: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    why: tuple[str, ...]


def lines(report: Report) -> Iterator[Line]:
    """Yield the advice per model and device. A search has its own goal and gives its own answer."""
    if report.head.goal is not None:
        return
    subjects, members = _subjects(report.rankings), groups(report.views)
    for ranking in report.rankings:
        subject = subjects[ranking.model, ranking.device]
        advice = advise(ranking, members[ranking.model, ranking.device])
        yield Line(text=subject + advice.headline, tone=Tone.GOOD if ranking.best else Tone.STRONG)
        # The page names what was left out and says how it was judged.
        yield from (Line(text=f"  {subject}{sentence}", tone=Tone.QUIET) for sentence in advice.short)
    yield from (Line(text=f"  {note}", tone=Tone.QUIET) for note in _general(report.rankings))
    if _imported(report):
        yield Line(text=_IMPORTED, tone=Tone.QUIET)


def html(report: Report) -> Fragment:
    """Return a box per model and device."""
    members = groups(report.views)
    boxes = [_box(r, members[r.model, r.device]) for r in report.rankings]
    nothing = _IMPORTED if _imported(report) else "The plan of this run has no cells."
    values = {"advice": boxes, "general": _general(report.rankings), "nothing": nothing, "few": FEW_BOXES}
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:
    """Return the advice per model and device, with the quality of each of its cells."""
    return {"advice": [_advice_json(ranking) for ranking in report.rankings]}


def _imported(report: Report) -> bool:
    return any(view.cell.profile is ProfileName.IMPORTED for view in report.views)


def _box(ranking: Ranking, views: tuple[CellView, ...]) -> _Box:
    advice = advise(ranking, views)
    why = (_fastest_here(ranking, labels(ranking.ok)), _tie_note(ranking, labels(ranking.ok)), _basis_note(ranking))
    return _Box(
        model=ranking.model,
        device=ranking.device,
        headline=advice.headline,
        short=advice.short,
        left_out=left_out(ranking, views, _limit(ranking)),
        why=tuple(note for note in why if note),
    )


def advise(ranking: Ranking, views: tuple[CellView, ...] = ()) -> Advice:
    """Put ``ranking`` into words. ``views`` are all cells of its model and device; by default those that ran."""
    names = labels(ranking.ok)
    notes = (
        _fastest_here(ranking, names),
        _tie_note(ranking, names),
        *_left_out(ranking),
        _basis_note(ranking),
        _condition_note(ranking),
    )
    return Advice(
        model=ranking.model,
        device=ranking.device,
        headline=_headline(ranking, names),
        notes=tuple(note for note in notes if note),
        general=_general([ranking]),
        short=_short(ranking, views or ranking.ok),
    )


def _short(ranking: Ranking, views: tuple[CellView, ...]) -> tuple[str, ...]:
    """What the choice was made from, and what makes the chosen cell's figures less trustworthy."""
    if not ranking.ok:
        return ()
    left = left_out(ranking, views, _limit(ranking))
    several = ranking.files > 1 or left
    chosen = chosen_from(ranking, left) if several else None
    basis = _basis_note(ranking) if ranking.basis in _UNLABELLED else None
    # One line: where labels are missing, that matters more than the conditions, which the table shows.
    return tuple(note for note in (chosen, basis or _condition_note(ranking)) if note)


def _left_out(ranking: Ranking) -> tuple[str, ...]:
    """What is not recommended, by reason."""
    return tuple(note for note in (_lost_note(ranking), _open_note(ranking), _software_note(ranking)) if note)


def _file_names(ranking: Ranking) -> dict[str, str]:
    return file_labels(ranking.ok)


def _subjects(rankings: Iterable[Ranking]) -> dict[tuple[str, str], str]:
    """What the sentences about each ranking begin with; nothing if there is only one."""
    pairs = [(r.model, r.device) for r in rankings]
    several_devices = len({device for _, device in pairs}) > 1
    words = {pair: f"{pair[0]} on {pair[1]}: " if several_devices else f"{pair[0]}: " for pair in pairs}
    return words if len(pairs) > 1 else dict.fromkeys(pairs, "")


def _general(rankings: Iterable[Ranking]) -> tuple[str, ...]:
    """The sentences that are the same for every model."""
    views = [view for ranking in rankings for view in ranking.ok]
    desktop = any(c.id is ConditionId.DESKTOP_CPU for v in views for c in v.conditions)
    brief = [v for v in views if PROFILES[v.cell.profile].indicative]
    # --launches may ask for more launches than the profile's one, and the figures then have intervals.
    several = any(v.latency is not None and v.latency.low_ns is not None for v in brief)
    why = "its launches are short" if several else "one launch per cell gives no interval"
    return (*((_DESKTOP,) if desktop else ()), *((_FIRST_LOOK.format(why),) if brief else ()))


def _headline(ranking: Ranking, names: dict[str, str]) -> str:
    if not ranking.ok:
        where = f"{ranking.model} on {ranking.device}"
        return f"Nothing can be recommended: no cell of {where} has run to its end."
    if ranking.best is not None:
        return _ship(ranking, ranking.best, names)
    if ranking.good and all(on_software_gpu(v) for v in ranking.good):
        subject = f"what is good enough of {ranking.model}"
        return f"Nothing can be recommended: {subject} ran only on a GPU that is imitated in software."
    if ranking.smallest is None:
        return _nothing(ranking)
    if ranking.files == 1:
        return _only(ranking, ranking.smallest)
    return _smallest(ranking, ranking.smallest)


def _nothing(ranking: Ranking) -> str:
    left_open, names = ranking.judged(Quality.OPEN), _file_names(ranking)
    if not left_open:
        return f"Nothing can be recommended: every file of {ranking.model} is shown to be worse than the float model."
    words = f"Nothing can be recommended: no file of {ranking.model} is shown to be good enough"
    closest = max(left_open, key=lambda v: ranking.quality[v.cell.key].closeness_db or 0.0)
    return f"{words}. The closest to the float model is {names[closest.cell.key]}{_quality_words(ranking, closest)}."


def _ship(ranking: Ranking, best: CellView, names: dict[str, str]) -> str:
    words = f"Ship {names[best.cell.key]}: {units.time(median_ns(best))} per call"
    # Of all formats: what matters is what the user could ship without any optimisation.
    floats = [v for v in ranking.ok if v.cell.variant == Precision.FP32 and v.latency]
    fastest = min(floats, key=median_ns, default=None)
    if fastest is not None and best.cell.variant != Precision.FP32:
        times = median_ns(fastest) / median_ns(best)
        words += (
            f", {times:.1f}× as fast as the fastest fp32 ({names[fastest.cell.key]}, {units.time(median_ns(fastest))})"
        )
    return f"{words}{_quality_words(ranking, best)}{_size_words(best)}."


def _only(ranking: Ranking, view: CellView) -> str:
    """The sentence for a single file: nothing is the smallest of one."""
    name = _file_names(ranking)[view.cell.key]
    figures = f"{_size_words(view)}{_quality_words(ranking, view)}{_memory_words(view)}"
    return f"There is one file and nothing to choose from: {name}{figures}."


def _smallest(ranking: Ranking, view: CellView) -> str:
    names, quality = _file_names(ranking), ranking.quality[view.cell.key].quality
    smaller = [v for v in ranking.good if v.artifact and view.artifact and v.artifact.bytes < view.artifact.bytes]
    if quality is Quality.UNKNOWN:
        return f"The smallest file, whatever its quality, is {names[view.cell.key]}{_size_words(view)}."
    if smaller:
        which = "Of the smallest files, the closest to the float model"
    else:
        which = f"The smallest file that {'keeps' if quality is Quality.HOLDS else 'is likely to keep'} the quality"
    figures = f"{_size_words(view)}{_quality_words(ranking, view)}{_memory_words(view)}"
    return f"{which} is {names[view.cell.key]}{figures}."


def _memory_words(view: CellView) -> str:
    growth = memory_growth(view.memory)
    peak = growth.peak_bytes if growth else None
    return f"; it adds {units.size(peak)} of memory at its peak" if peak is not None else ""


def _quality_words(ranking: Ranking, view: CellView) -> str:
    """The value of the metric, and the SQNR where the labels do not decide."""
    facts, words = ranking.quality[view.cell.key], ""
    scores = view.measurement.scores if view.measurement else None
    if scores is not None:
        words = f", {scores.metric} {units.significant(scores.value)} {scores.unit}".rstrip()
    elif view.accuracy is not None:
        words = f", {units.percent(view.accuracy.value)} {view.accuracy.metric}"
    elif view.agreement is not None and facts.basis is QualityBasis.AGREEMENT:
        words = f", the float model's answer on {units.percent(view.agreement)} of the inputs"
    decided = facts.loss is not None and facts.loss.verdict is not LossVerdict.OPEN
    return words if decided or facts.closeness_db is None else f"{words}, {_db_words(view)}"


def _db_words(view: CellView) -> str:
    sqnr = units.decibels(view.sqnr_db)
    return "the float model's outputs exactly" if sqnr == units.decibels(math.inf) else f"SQNR {sqnr} dB"


def _size_words(view: CellView) -> str:
    if view.artifact is None:
        return ""
    ratio = f" ({units.ratio(view.size_ratio)} its fp32 file)" if view.size_ratio and view.size_ratio != 1 else ""
    return f", {units.size(view.artifact.bytes)}{ratio}"


def _fastest_here(ranking: Ranking, names: dict[str, str]) -> str | None:
    """The fastest of the cells whose speed on a desktop CPU may be compared."""
    if ranking.latency_ranked or not ranking.candidates:
        return None
    best = ranking.candidates[0]
    name, time = names[best.cell.key], units.time(median_ns(best))
    if len(ranking.candidates) == 1:
        return f"Here, {name} takes {time} per call."
    if ranking.files == 1:
        return f"It is the fastest here as {name} ({time})."
    # Ready-made files are not fp32 files: what is in them is not known.
    among = "Among the fp32 files" if best.cell.variant == Precision.FP32 else "Of these files"
    tied = f"; not measurably slower: {_listed(ranking.as_fast, names)}" if ranking.as_fast else ""
    return f"{among}, {name} is the fastest here ({time}){tied}."


def _tie_note(ranking: Ranking, names: dict[str, str]) -> str | None:
    if not ranking.as_fast or ranking.best is None:
        return None
    return f"No measurable difference in speed: {_listed(ranking.as_fast, names)}."


def _lost_note(ranking: Ranking) -> str | None:
    """What was left out because its answers are shown to be worse."""
    lost = ranking.judged(Quality.LOST)
    if not lost:
        return None
    reason = "differ too much from the float model" if _without_labels(ranking) else f"lose more than {_limit(ranking)}"
    return f"Left out because they are shown to {reason}: {_listed(lost, _file_names(ranking))}."


def _open_note(ranking: Ranking) -> str | None:
    """What was left out without being shown to be worse."""
    left_open = ranking.judged(Quality.OPEN)
    if not left_open:
        return None
    return f"Not shown to be good enough, so not recommended: {_listed(left_open, _file_names(ranking), _db)}."


def _software_note(ranking: Ranking) -> str | None:
    """The cells whose times are no GPU's, beside those that may be recommended."""
    imitated = [v for v in ranking.ok if on_software_gpu(v)]
    if not imitated or len(imitated) == len(ranking.ok):
        return None
    return f"Left out because their GPU is imitated in software: {_listed(imitated, labels(ranking.ok))}."


def _basis_note(ranking: Ranking) -> str | None:
    """How quality was judged; nothing where there is only the reference itself."""
    # A reference that is a cell itself says nothing about its own file, on however many threads it runs.
    own = {v.cell.build for v in ranking.ok if v.cell.key == ranking.reference.cell}
    compared = {v.cell.build for v in ranking.ok} - own
    match ranking.basis:
        case QualityBasis.NOTHING:
            words = "Neither accuracy nor fidelity could be judged; only speed, memory and size are known."
            return words if ranking.ok else None
        case _ if not compared:
            return None
        case QualityBasis.AGREEMENT | QualityBasis.SQNR:
            return (
                "Accuracy was not measured: files are judged by how close their outputs are to the float model's, "
                "which does not show how many answers are right."
            )
        case QualityBasis.ACCURACY | QualityBasis.SCORE:
            return _labels_note(ranking)
        case _:
            assert_never(ranking.basis)


def _labels_note(ranking: Ranking) -> str | None:
    reference = ranking.reference
    value = units.percent(reference.value) if ranking.basis is QualityBasis.ACCURACY else _number(reference.value)
    undecided = [v for v in ranking.ok if _is_undecided(ranking, v)]
    if not undecided and ranking.files == 1:
        return None
    if not undecided:
        return (
            f"A file keeps the quality if, input by input, it is shown to lose less than {_limit(ranking)} against the "
            f"float model's {value}."
        )
    least, inputs = least_inputs(LIMITS.loss), len(reference.scores) or reference.count
    few = ranking.basis is QualityBasis.ACCURACY and inputs < least
    more = f" (that takes at least {least})" if few else ""
    return (
        f"{inputs} labelled inputs cannot show whether a file loses more than {_limit(ranking)} against the float "
        f"model's {value}{more}. Ranked by how close their outputs are to the float model's: "
        f"{_listed(_by_closeness(ranking, undecided), _file_names(ranking), _db)}."
    )


def _is_undecided(ranking: Ranking, view: CellView) -> bool:
    facts = ranking.quality[view.cell.key]
    exact = facts.closeness_db is not None and facts.closeness_db >= EXACT_DB
    return facts.loss is not None and facts.loss.verdict is LossVerdict.OPEN and facts.quality in GOOD and not exact


def _by_closeness(ranking: Ranking, views: Iterable[CellView]) -> list[CellView]:
    return sorted(views, key=lambda v: -(ranking.quality[v.cell.key].closeness_db or 0.0))


def _limit(ranking: Ranking) -> str:
    """The most that may be lost, in words."""
    per_cent = 100 * LIMITS.loss
    return f"{per_cent:g} percentage point" if ranking.reference.share else f"{per_cent:g} %"


def _without_labels(ranking: Ranking) -> bool:
    return ranking.basis in (QualityBasis.AGREEMENT, QualityBasis.SQNR)


def _number(value: float | None) -> str:
    return units.NONE if value is None else units.significant(value)


def _db(view: CellView) -> str:
    return f" ({_db_words(view)})"


def _listed(views: Sequence[CellView], names: dict[str, str], more: Callable[[CellView], str] = lambda _: "") -> str:
    """The names of files, each once, and how many more there are beyond the first few."""
    files = list({v.cell.build: v for v in views}.values())
    return listed([f"{names[v.cell.key]}{more(v)}" for v in files], LISTED)


def _condition_note(ranking: Ranking) -> str | None:
    """The names of the conditions of the recommended cell; the section on conditions explains them."""
    chosen = ranking.best or ranking.smallest
    ids = [c.id.value for c in chosen.conditions if c.id not in _SAID_BY_A_NOTE] if chosen else []
    return f"Conditions of this cell: {', '.join(ids)}." if ids else None


def _advice_json(ranking: Ranking) -> dict[str, Any]:
    advice, smallest = advise(ranking), ranking.smallest
    return {
        "model": ranking.model,
        "device": ranking.device,
        "headline": advice.headline,
        "notes": [*advice.notes, *advice.general],
        "ship": ranking.best.cell.key if ranking.best else None,
        "smallest": smallest.cell.key if smallest else None,
        "judged_by": ranking.basis.value,
        "reference": ranking.reference.value,
        "cells": {key: _quality_json(facts) for key, facts in ranking.quality.items()},
    }


def _quality_json(facts: QualityFacts) -> dict[str, Any]:
    loss = plain(facts.loss) | {"verdict": facts.loss.verdict.value} if facts.loss else None
    return {"quality": facts.quality.value, "closeness_db": facts.closeness_db, "loss": loss}
