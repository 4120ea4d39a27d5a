"""All charts of a run, as SVG with a caption.

Charts read no files. The times of single calls and the replies come from callables, so that only `harness.store` reads
the results folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from harness.report.charts.bars import memory_bars, size_bars
from harness.report.charts.distributions import Samples, distributions
from harness.report.charts.dots import latency_dots
from harness.report.charts.draft import Draft
from harness.report.charts.figure import png_of, svg_of
from harness.report.charts.heat import heat_map
from harness.report.charts.imported import imported_drafts
from harness.report.charts.path import search_path
from harness.report.charts.places import device_dots
from harness.report.charts.points import quality_points
from harness.report.charts.stacks import delegate_parts, memory_parts, top_operators
from harness.report.charts.subset import first_and_rest
from harness.report.charts.sustained import sustained_lines
from harness.report.charts.trace import run_trace
from harness.report.charts.treemap import operator_map
from harness.report.evidence import Evidence, no_evidence
from harness.report.ranking import Ranking, median_ns, quality_metric, rankings
from harness.report.view import CellView, cell_views, labels
from harness.search.points import findings
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures of a page: one takes about a tenth of a second and some 30 kB.
MOST_FIGURES = 48
# With more models and devices than this, a page has only what is needed to choose among the files of each.
FEW_GROUPS = 4
# Panels of calls that are drawn at once.
MOST_PANELS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart. ``name`` is safe as a file name; ``about`` names model and device, such as "digits on host".

    A chart of the whole run has no ``about``. A ``folded`` chart is shown on demand. ``png`` is the same picture on
    white, if it was asked for.
    """

    name: str
    about: str
    heading: str
    caption: str
    svg: str
    folded: bool = False
    png: bytes | None = None


def charts(
    run: RunRecord, samples: Samples, evidence: Evidence = no_evidence, *, most: int | None = None, png: bool = False
) -> tuple[Chart, ...]:
    """Draw the charts of ``run`` that have data, at most ``most`` of them if given; with ``png``, as pictures too.

    ``samples`` returns the timed calls of a measurement in ns, one list per launch; an empty list if they are lost.
    ``evidence`` returns what its replies hold.
    """
    ranked = rankings(run)
    drawn = [*_whole(run, ranked, png=png)]
    for number, ranking in enumerate(ranked, 1):
        # Keys of models and devices may hold characters that a file name must not.
        suffix = f"-{number}" if len(ranked) > 1 else ""
        drafts = _drafts(ranking, samples, evidence)
        if most is not None and len(ranked) > FEW_GROUPS:
            drafts = (draft for draft in drafts if draft.name in _ESSENTIAL)
        for draft in drafts:
            if most is not None and len(drawn) >= most:
                break
            figure = draft.draw()
            if figure is not None:
                chart = _chart(draft, figure, f"{ranking.model} on {ranking.device}", png=png)
                drawn.append(replace(chart, name=f"{draft.name}{suffix}"))
    for about, draft in imported_drafts(cell_views(run), samples):
        if most is not None and len(drawn) >= most:
            break
        figure = draft.draw()
        if figure is not None:
            drawn.append(_chart(draft, figure, about, png=png))
    return tuple(drawn)


_ESSENTIAL = ("latency", "quality")


def _chart(draft: Draft, figure: Figure, about: str, *, png: bool) -> Chart:
    return Chart(
        name=draft.name,
        about=about,
        heading=draft.heading,
        caption=draft.caption,
        svg=svg_of(figure),
        folded=draft.folded,
        png=png_of(figure) if png else None,
    )


def _whole(run: RunRecord, ranked: Sequence[Ranking], *, png: bool) -> Iterator[Chart]:
    """The charts of all models and devices together."""
    drafts = [
        Draft(name="overview", heading="Models, devices and variants", caption=_HEAT, draw=lambda: heat_map(ranked))
    ]
    if run.head.goal is not None:
        found = findings(run, run.head.goal)
        drafts.insert(
            0, Draft(name="path", heading="The path of the search", caption=_PATH, draw=lambda: search_path(found))
        )
    drafts.append(
        Draft(name="sustained", heading="Minute by minute", caption=_SUSTAINED, draw=lambda: sustained_lines(ranked))
    )
    models = list(dict.fromkeys(ranking.model for ranking in ranked))
    for number, model in enumerate(models, 1):
        of_model = [ranking for ranking in ranked if ranking.model == model]
        name, of = ("devices", "") if len(models) == 1 else (f"devices-{number}", f" of {model}")
        heading = f"The same files{of} on each device"
        drafts.append(
            Draft(
                name=name,
                heading=heading,
                caption=_PLACES,
                draw=partial(device_dots, of_model),
                folded=len(models) > FEW_GROUPS,
            )
        )
    for draft in drafts:
        figure = draft.draw()
        if figure is not None:
            yield _chart(draft, figure, "", png=png)


def _drafts(ranking: Ranking, samples: Samples, evidence: Evidence) -> Iterator[Draft]:
    first, everything = first_and_rest(ranking)
    ok = everything or first
    hollow = frozenset(v.cell.key for v in ok if not ranking.is_ranked(v))
    caption = _latency_caption(first, hollow) + _first_words(first, ranking)
    yield Draft(name="latency", heading="Latency", caption=caption, draw=lambda: latency_dots(first, hollow=hollow))
    yield Draft(
        name="latency-all",
        heading=f"Latency of {len(everything)} of {len(ranking.ok)} cells",
        caption=_latency_caption(everything, hollow),
        draw=lambda: latency_dots(everything, hollow=hollow),
        folded=True,
    )
    yield Draft(
        name="quality",
        heading="Quality against latency, size and memory",
        caption=_points_caption(ranking),
        draw=lambda: quality_points(ranking),
    )
    panels = first[:MOST_PANELS]
    more = "" if len(panels) == len(ranking.ok) else " The calls of every other cell are behind its row of the table."
    yield Draft(
        name="distribution",
        heading="Distribution of the calls",
        caption=_DISTRIBUTION + more,
        draw=lambda: distributions(panels, samples),
    )
    yield from _of_one_cell(ranking, evidence)
    yield Draft(name="memory", heading="Memory", caption=_MEMORY, draw=lambda: memory_bars(first))
    yield Draft(
        name="memory-parts", heading="Where memory goes", caption=_PARTS, draw=lambda: memory_parts(first), folded=True
    )

    yield Draft(name="delegate", heading="What ran the network", caption=_DELEGATE, draw=lambda: delegate_parts(first))
    yield Draft(name="size", heading="Size", caption=_SIZE, draw=lambda: size_bars(first))


def _of_one_cell(ranking: Ranking, evidence: Evidence) -> Iterator[Draft]:
    """The run trace and the operators of the cell that a reader looks at first."""
    shown = ranking.best or ranking.smallest or min(ranking.ok, key=median_ns, default=None)
    if shown is None or shown.measurement is None:
        return
    measurement, name = shown.measurement, labels(ranking.ok)[shown.cell.key]
    yield Draft(
        name="trace",
        heading=f"{name} over time",
        caption=_TRACE,
        draw=lambda: run_trace(evidence(measurement)),
    )
    yield Draft(
        name="operators",
        heading=f"Slowest operators of {name}",
        caption=_OPERATORS,
        draw=lambda: top_operators(measurement.operators),
    )
    yield Draft(
        name="operator-map",
        heading=f"All operators of {name} by type",
        caption=_OPERATOR_MAP,
        draw=lambda: operator_map(measurement.operators),
        folded=True,
    )


_PATH = (
    "Each point is a variant that the search tried, and what it costs. The dashed line is the cheapest so far of those "
    "that keep the quality."
)
_HEAT = (
    "Blue is faster than fp32 of the same model on the same device, orange is slower. Hatched: the intervals do not "
    "tell the two apart. In brackets: the variant is not shown to be good enough."
)
_SUSTAINED = (
    "The median of the calls of each minute, relative to the first; the band reaches up to what one call in ten "
    "exceeds. A line that rises is a device that slows down as it warms up."
)
_PLACES = (
    "One mark per device, and the ratio of the slowest to the fastest at the right. The runtimes differ from device to "
    "device too, so this shows what users of each get. It does not show which file is better."
)
_DISTRIBUTION = (
    "The curve shows, for each time, the share of calls that took at most this long; p50, p90 and p99 are marked where "
    "there are enough calls for them. Below the curve is one box per launch: quartiles, median, and lines from p5 to "
    "p95. Each panel has its own axis, which ends a little after p99 and is logarithmic where p99 is more than three "
    "times the median."
)
_TRACE = (
    "Each dot is a call, or the slowest of a stretch where there are many; the shaded ones are steady. The line "
    "is their median, with a step where they changed to another level. Beneath are the temperature and the clock that "
    "the device reported."
)
_MEMORY = (
    "What the model adds to the process, compared with the runtime alone: once loaded, between calls, at its peak, and "
    "what is still held after the model was released."
)
_PARTS = "What the whole process consists of between calls, including the runtime."
_DELEGATE = (
    "How much of the network each delegate took. Time is that of profiled calls, which the latency leaves out, and is "
    "shown only where the runtime says what ran each operator."
)
_OPERATORS = "From profiled calls, which take longer than others and are not part of the latency."
_OPERATOR_MAP = (
    "Each rectangle is an operator, as large as its time in a profiled call; those of one type have one colour and "
    "stand together. Point at one for its name."
)
_SIZE = "Size of the file, with its ratio to the fp32 file of the same format."
_HOLLOW = " Hollow dots were measured on a desktop CPU and must not be compared with fp32."


def _first_words(first: Sequence[CellView], ranking: Ranking) -> str:
    if len(first) == len(ranking.ok):
        return ""
    return f" These are the best of each variant, {len(first)} of {len(ranking.ok)} cells; the others are folded below."


def _latency_caption(ok: Sequence[CellView], hollow: frozenset[str]) -> str:
    latencies = [v.latency for v in ok if v.latency]
    several = [latency for latency in latencies if latency.speeds]
    single = [latency for latency in latencies if latency.low_ns is None and not latency.speeds]
    interval = "Lines are the 95 % interval over launches"
    # Fewer than 64 calls give no p90.
    upper = "p90" if all(latency.p90_ns is not None for latency in single) else "p90 (p75 where calls are few)"
    spread = f"p5 to {upper} of the calls of the single launch: a spread, not an interval"
    if not single:
        words = f"{interval}."
    elif len(single) == len(latencies):
        words = f"Lines are {spread}."
    else:
        words = f"{interval}; for a cell with a single launch they are {spread}."
    if several:
        words += " For a cell with launches at several speeds they reach from the fastest to the slowest."
    return f"Median latency per call. {words}{_HOLLOW if hollow else ''}"


def _points_caption(ranking: Ranking) -> str:
    metric = quality_metric(ranking.ok)
    quality = metric.label if metric else "agreement with the float model"
    lines = " Vertical lines are 95 % intervals over inputs." if metric else ""
    front = " A dashed line is a front: no other cell is better in both than one on it."
    hollow = (
        ""
        if ranking.latency_ranked
        else " Hollow points were measured on a desktop CPU and are left out of the front of latency."
    )
    return f"Up and to the left is better: {quality} against what a cell costs.{lines}{front}{hollow}"
