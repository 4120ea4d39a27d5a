"""All charts of a run, as SVG with a caption.

Charts read no files. The times of single calls come from a callable, so that only `harness.store` reads the results
folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.charts.bars import latency_bars, memory_bars, size_bars
from harness.report.charts.distributions import Samples, distributions
from harness.report.charts.points import accuracy_points
from harness.report.ranking import Ranking, quality_metric, rankings
from harness.report.view import CellView
from harness.store.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart. ``name`` is safe as a file name; ``about`` names model and device, such as "digits on host"."""

    name: str
    about: str
    heading: str
    caption: str
    svg: str


def charts(run: RunRecord, samples: Samples) -> tuple[Chart, ...]:
    """Draw the charts of ``run`` that have data.

    ``samples`` returns the timed calls of a measurement in ns, one list per launch; an empty list if they are lost.
    """
    ranked = rankings(run)
    drawn: list[Chart] = []
    for number, ranking in enumerate(ranked, 1):
        # Keys of models and devices may hold characters that a file name must not.
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
    yield "size", "Size", "Size of the file, with its ratio to the fp32 file of the same format.", size_bars(ok)


_DISTRIBUTION = (
    "The curve shows, for each time, the share of calls that took at most this long; p50, p90 and p99 are marked where "
    "there are enough calls for them. Below the curve is one box per launch: quartiles, median, and lines from p5 to "
    "p95. Each panel has its own axis, which ends a little after p99 and is logarithmic where p99 is more than three "
    "times the median."
)
_MEMORY = (
    "What the model adds to the process, compared with the runtime alone: once loaded, between calls, at its peak, and "
    "what is still held after the model was released."
)
_HATCHED = " Hatched bars were measured on a desktop CPU and must not be compared with fp32."


def _latency_caption(ok: tuple[CellView, ...], hatched: frozenset[str]) -> str:
    latencies = [v.latency for v in ok if v.latency]
    several = [latency for latency in latencies if latency.speeds]
    single = [latency for latency in latencies if latency.low_ns is None and not latency.speeds]
    interval = "Whiskers are the 95 % interval over launches"
    # Fewer than 64 calls give no p90.
    upper = "p90" if all(latency.p90_ns is not None for latency in single) else "p90 (p75 where calls are few)"
    spread = f"p5 to {upper} of the calls of the single launch: a spread, not an interval"
    if not single:
        words = f"{interval}."
    elif len(single) == len(latencies):
        words = f"Whiskers are {spread}."
    else:
        words = f"{interval}; for a cell with a single launch they are {spread}."
    if several:
        words += " For a cell with launches at several speeds they reach from the fastest to the slowest."
    return f"Median latency per call. {words}{_HATCHED if hatched else ''}"


def _points_caption(ranking: Ranking) -> str:
    metric = quality_metric(v for v in ranking.ok if v.latency)
    quality = metric.label if metric else "agreement with the float model"
    whiskers = " Vertical whiskers are 95 % intervals over inputs." if metric else ""
    front = " The dashed line is the front: no other cell is both faster and better than one on it."
    hollow = (
        "" if ranking.latency_ranked else " Hollow points were measured on a desktop CPU and are left out of the front."
    )
    return (
        f"Up and to the left is better: {quality} against the median latency; the area of a point is the size of the "
        f"file.{whiskers}{front}{hollow}"
    )
