"""All charts of a run: SVG and caption, ready to be placed in the report or written as files.

The one decision: charts read no files. Raw call times come from a callable, so that whoever owns the results folder
stays the only one to read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.charts.bars import latency_bars, memory_bars, size_bars
from harness.report.charts.distributions import Samples, distributions
from harness.report.charts.points import accuracy_points
from harness.report.ranking import Ranking, rankings
from harness.report.view import CellView
from harness.store.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart. ``name`` is safe as a file name; ``about`` says "digits on host"; the caption is whole sentences."""

    name: str
    about: str
    heading: str
    caption: str
    svg: str


def charts(run: RunRecord, samples: Samples) -> tuple[Chart, ...]:
    """Draw the charts of ``run``, those without data left out.

    ``samples`` returns the measured calls of a measurement in ns, one list a launch; an empty list where they are gone.
    """
    ranked = rankings(run)
    drawn: list[Chart] = []
    for number, ranking in enumerate(ranked, 1):
        suffix = f"-{number}" if len(ranked) > 1 else ""
        about = f"{ranking.model} on {ranking.device}"
        for name, heading, caption, svg in _all(ranking, samples):
            if svg is not None:
                drawn.append(Chart(name=f"{name}{suffix}", about=about, heading=heading, caption=caption, svg=svg))
    return tuple(drawn)


def _all(ranking: Ranking, samples: Samples) -> Iterator[tuple[str, str, str, str | None]]:
    ok = ranking.ok
    hatched = frozenset(v.cell.key for v in ok if not ranking.is_ranked(v))
    yield "latency", "Latency", _latency_caption(ok, hatched), latency_bars(ok, hatched=hatched)
    yield "accuracy", "Accuracy and latency", _points_caption(ranking), accuracy_points(ranking)
    yield "distribution", "Distribution of the calls", _DISTRIBUTION, distributions(ok, samples)
    yield "memory", "Memory", _MEMORY, memory_bars(ok)
    yield "size", "Size", "Size of the file; beside it the ratio to the fp32 file of the same format.", size_bars(ok)


_DISTRIBUTION = (
    "For each cell the share of calls that took at most so long, with p50, p90 and p99 marked where there are enough "
    "calls for them. Below the curve one box a launch: quartiles, median, and lines from p5 to p95. Each panel has its "
    "own axis, logarithmic where p99 is more than three times the median; it ends a little after p99."
)
_MEMORY = (
    "What the model adds to the process over the runtime alone: once loaded, between calls, at the highest, and what "
    "is still held after the model was released."
)
_HATCHED = " Hatched bars were measured on a desktop CPU and must not be ranked against fp32."


def _latency_caption(ok: tuple[CellView, ...], hatched: frozenset[str]) -> str:
    known = [v.latency for v in ok if v.latency]
    single = [x for x in known if x.low_ns is None]
    interval = "Whiskers are the 95 % interval over launches"
    # From fewer than 64 calls there is no p90; p75 stands in for it.
    upper = "p90" if all(x.p90_ns is not None for x in single) else "p90 (p75 where calls are few)"
    spread = f"p5 to {upper} of the calls of the one launch, which is a spread and not an interval"
    if not single:
        words = f"{interval}."
    elif len(single) == len(known):
        words = f"Whiskers are {spread}."
    else:
        words = f"{interval}; for a cell with a single launch they are {spread}."
    return f"Median latency of a call. {words}{_HATCHED if hatched else ''}"


def _points_caption(ranking: Ranking) -> str:
    quality = "accuracy" if any(v.accuracy for v in ranking.ok) else "agreement with the float model"
    whiskers = " Upright whiskers are Wilson 95 % intervals." if quality == "accuracy" else ""
    front = " The dashed line is the front: no other cell is both faster and better."
    hollow = "" if ranking.latency_ranked else " Hollow points take no part in the front: a desktop CPU measured them."
    return (
        f"Up and to the left is better: {quality} against the median latency; the area of a point is the size of the "
        f"file.{whiskers}{front}{hollow}"
    )
