"""The charts of imported cells: what other programs say of them, and nothing that they do not say.

Nothing is ranked, and no two programs share a chart: each measures by its own rules. Rows are in the order of the
models, and of one model the best is on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness.records.metric import Polarity
from harness.records.metrics import METRICS
from harness.records.origin import StatedName
from harness.records.stated_metrics import stated_figure
from harness.report.charts.bars import memory_bars, size_bars
from harness.report.charts.distributions import Samples, distributions
from harness.report.charts.dots import Dot, dot_rows, latency_dots, value_words, whiskers
from harness.report.charts.draft import Draft
from harness.report.charts.stacks import delegate_parts, top_operators
from harness.report.charts.treemap import operator_map
from harness.report.ranking import median_ns
from harness.report.view import CellView, full_labels, ok_views
from harness.spec.profiles import ProfileName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Names = Mapping[str, str]

# Rows of a chart, and how many charts of one kind follow one another before the table has to do.
MOST_ROWS, MOST_PAGES = 40, 5
MOST_PANELS, MOST_PROFILES = 12, 4
# Calls that a curve is drawn through: of fewer it shows no more than the table.
LEAST_CALLS = 10


def imported_drafts(views: Sequence[CellView], samples: Samples) -> Iterator[tuple[str, Draft]]:
    """Yield the charts of the imported ones of ``views``, each with the name of the program whose figures it shows."""
    programs: dict[str, list[CellView]] = {}
    for view in ok_views(views):
        if view.cell.profile is ProfileName.IMPORTED and view.measurement and view.measurement.origin:
            programs.setdefault(view.measurement.origin.program, []).append(view)
    for number, (program, listed) in enumerate(programs.items(), 1):
        suffix = f"-{number}" if len(programs) > 1 else ""
        for draft in _drafts(program, listed, samples):
            yield program, replace(draft, name=f"{draft.name}{suffix}")


def _drafts(program: str, views: Sequence[CellView], samples: Samples) -> Iterator[Draft]:
    names = full_labels(views)
    timed = _in_order([v for v in views if v.latency], median_ns)
    listed = tuple(v for v in timed if v.latency and (v.latency.calls or 0) >= LEAST_CALLS)[:MOST_PANELS]
    caption = _latency_caption(program, timed)
    yield from _pages("latency", "Latency", caption, timed, partial(latency_dots, names=names))
    for name in StatedName:
        yield from _stated(program, name, views, names)
    yield Draft(
        name="distribution",
        heading="Distribution of the calls",
        caption=_DISTRIBUTION,
        draw=lambda: distributions(listed, samples, names),
    )
    yield from _memory(program, views, names)
    sized = tuple(v for v in views if v.artifact)[:MOST_ROWS]
    yield Draft(
        name="size",
        heading="Size",
        caption=f"Size of the file, as {program} states it.",
        draw=lambda: size_bars(sized, names),
    )
    shared = views[:MOST_ROWS]
    yield Draft(
        name="delegate", heading="What ran the network", caption=_DELEGATE, draw=lambda: delegate_parts(shared, names)
    )
    yield from _operators(views, names)


def _pages(
    name: str,
    heading: str,
    caption: str,
    views: Sequence[CellView],
    draw: Callable[[Sequence[CellView]], Figure | None],
) -> Iterator[Draft]:
    """One chart if all rows fit, else several, of which the first is open."""
    starts = range(0, len(views), MOST_ROWS)[:MOST_PAGES]
    for page, start in enumerate(starts, 1):
        rows = views[start : start + MOST_ROWS]
        several = len(views) > MOST_ROWS
        yield Draft(
            name=f"{name}-{page}" if page > 1 else name,
            heading=f"{heading}, cells {start + 1} to {start + len(rows)} of {len(views)}" if several else heading,
            caption=caption,
            draw=partial(draw, rows),
            folded=page > 1,
        )


def _stated(program: str, name: StatedName, views: Sequence[CellView], names: Names) -> Iterator[Draft]:
    """A chart per definition: a mean and an estimate are not comparable."""
    metric = METRICS[name.value]
    sign = 1.0 if metric.polarity is Polarity.LOWER else -1.0
    definitions: dict[str, list[CellView]] = {}
    for view in views:
        figure = stated_figure(view.measurement, name)
        if figure:
            definitions.setdefault(figure.definition, []).append(view)
    for number, (definition, listed) in enumerate(definitions.items(), 1):
        better = "Higher" if sign < 0 else "Lower"
        ordered = _in_order(listed, lambda view: sign * _value(view, name))
        label = metric.label if definition in ("", metric.label) else f"{metric.label} ({definition})"
        yield from _pages(
            name.value.replace("_", "-") + (f"-{number}" if len(definitions) > 1 else ""),
            f"{label[:1].upper()}{label[1:]}",
            f"What {program} states, as it stands in the file. {better} is better.{_launches(listed, name)}",
            ordered,
            partial(_stated_dots, name=name, label=label, names=names),
        )


def _stated_dots(views: Sequence[CellView], *, name: StatedName, label: str, names: Names) -> Figure | None:
    metric, dots, counted = METRICS[name.value], [], []
    for view in views:
        figure = stated_figure(view.measurement, name)
        if figure is not None:
            key, counts = view.cell.key, len(figure.launches) or 1
            dots.append(
                Dot(
                    name=names[key],
                    format=view.cell.format,
                    value=figure.value,
                    low=figure.least,
                    high=figure.most,
                    launches=figure.launches[1:] and figure.launches,
                )
            )
            counted.append(counts)
    unit = metric.formatter.unit_for([dot.value for dot in dots])
    return dot_rows(dots, unit, label=label, counted=value_words(counted))


def _memory(program: str, views: Sequence[CellView], names: Names) -> Iterator[Draft]:
    """A chart per definition: the memory of a process and what it grew by are not comparable."""
    definitions: dict[str, list[CellView]] = {}
    for view in views:
        if view.memory:
            definitions.setdefault(view.memory.definition, []).append(view)
    for number, (definition, listed) in enumerate(definitions.items(), 1):
        shown = tuple(listed[:MOST_ROWS])
        grown = any(v.memory.baseline_bytes for v in shown if v.memory)
        over = " Bars are what it grew by over the baseline that the file states." if grown else ""
        yield Draft(
            name="memory" if len(definitions) == 1 else f"memory-{number}",
            heading="Memory",
            caption=f"As {program} states it: {definition}.{over}{_of(len(shown), len(listed))}",
            draw=partial(memory_bars, shown, names),
        )


def _operators(views: Sequence[CellView], names: Names) -> Iterator[Draft]:
    """The operators of the first cells that have a profile."""
    profiled = [v for v in views if v.measurement and v.measurement.operators and v.measurement.operators.by_time]
    for number, view in enumerate(profiled[:MOST_PROFILES], 1):
        assert view.measurement is not None
        profile, name = view.measurement.operators, names[view.cell.key]
        suffix = f"-{number}" if len(profiled) > 1 else ""
        yield Draft(
            name=f"operators{suffix}",
            heading=f"Slowest operators of {name}",
            caption=f"From {profile.source if profile else ''}.",
            draw=partial(top_operators, profile),
            folded=number > 1,
        )
        yield Draft(
            name=f"operator-map{suffix}",
            heading=f"All operators of {name} by type",
            caption=_OPERATOR_MAP,
            draw=partial(operator_map, profile),
            folded=True,
        )


def _in_order(views: Sequence[CellView], value: Callable[[CellView], float]) -> list[CellView]:
    """Those of one model together, in the order in which the models appear, the lowest ``value`` first."""
    place = {model: number for number, model in enumerate(dict.fromkeys(v.cell.model for v in views))}
    return sorted(views, key=lambda view: (place[view.cell.model], value(view)))


def _value(view: CellView, name: StatedName) -> float:
    figure = stated_figure(view.measurement, name)
    return figure.value if figure else 0.0


def _launches(views: Sequence[CellView], name: StatedName) -> str:
    figures = [figure for view in views if (figure := stated_figure(view.measurement, name))]
    several, ranges = any(len(f.launches) > 1 for f in figures), any(f.most for f in figures)
    strokes = " Strokes are the values of single launches." if several else ""
    return f"{strokes} Lines reach from the shortest call to the longest." if ranges else strokes


def _latency_caption(program: str, views: Sequence[CellView]) -> str:
    intervals = [v for v in views if v.latency and v.latency.low_ns is not None]
    bare = [v for v in views if None in whiskers(v)]
    words = [f"Median latency per call, as measured by {program} under its own rules."]
    if intervals:
        words.append("Lines are the 95 % interval over launches.")
    if len(intervals) + len(bare) < len(views):
        other = " of the others" if intervals else ""
        words.append(f"Lines{other} are p5 to p90 of the calls (p75 without a p90): a spread, not an interval.")
    if bare:
        words.append(
            "A dot without a line: the file says neither." if len(bare) < len(views) else "The files say no spread."
        )
    return " ".join(words)


def _of(shown: int, listed: int) -> str:
    return "" if shown == listed else f" These are the first {shown} of {listed} cells."


_DISTRIBUTION = (
    "The calls that the file lists. The curve shows, for each time, the share of calls that took at most this long. "
    "Below the curve is a box per launch: quartiles, median, and lines from p5 to p95. Each panel has its own axis."
)
_DELEGATE = "How much of the network each delegate took, as far as the file says."
_OPERATOR_MAP = (
    "Each rectangle is an operator, as large as its time; those of one type have one colour and stand together. Point "
    "at one for its name."
)
