"""One cell over time: every call of its launches, the steady part shaded, and the device's state beneath.

Each launch has the same width, because launches may take seconds or half an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.records import units
from harness.report.charts.figure import FONT_SIZE, GRID, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip
from harness.report.charts.rows import is_spread
from harness.report.evidence import LaunchEvidence
from harness.stats.levels import levels
from harness.wire import StateSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

CALLS, WARMUP, HEAT, CLOCK = "#0072b2", "#999999", "#d55e00", "#009e73"
# Calls that are drawn of a launch, and launches of a cell.
MOST_CALLS, MOST_LAUNCHES = 400, 12
# The share of a launch's width that is left free before the next.
GAP = 0.06


def run_trace(launches: Sequence[LaunchEvidence]) -> Figure | None:
    """Draw ``launches`` of one cell; None without single calls."""
    drawn = [launch for launch in launches if launch.steady_ns.size][:MOST_LAUNCHES]
    if not drawn:
        return None
    strips = [s for s in (_temperature, _clock) if any(s(state) is not None for la in drawn for state in la.states)]
    heights = [2.6, *(0.85 for _ in strips)]
    figure = new_figure(WIDTH_INCHES, sum(heights) + 0.65)
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    total = sum(heights) + 0.65
    figure.subplots_adjust(left=0.075, right=0.995, bottom=0.5 / total, top=1 - 0.1 / total, hspace=0.16)
    unit = units.time_unit(float(np.median(launch.steady_ns)) for launch in drawn)
    for place, launch in enumerate(drawn):
        _calls(panels[0], place, launch, unit)
    _scale(panels[0], drawn, unit)
    for axes, strip in zip(panels[1:], strips, strict=True):
        _strip(axes, drawn, "hottest sensor, °C" if strip is _temperature else "fastest core, MHz", strip is _clock)
    panels[-1].set_xticks(range(len(drawn)), [_width_words(launch) for launch in drawn])
    panels[-1].set_xlim(-0.5, len(drawn) - 0.5)
    calls = sum(launch.steady_ns.size for launch in drawn)
    words = f"launches in their order; n = {len(drawn)} launch{'' if len(drawn) == 1 else 'es'}, {calls} steady calls"
    panels[-1].set_xlabel(words, fontsize=FONT_SIZE, color=MUTED)
    return figure


def _width_words(launch: LaunchEvidence) -> str:
    total_ns = float(launch.warmup_ns.sum() + launch.steady_ns.sum())
    time = f"{total_ns / 60e9:.1f} min" if total_ns >= 120e9 else units.time(total_ns)
    return f"{launch.index + 1} ({time})"


def _moments(launch: LaunchEvidence) -> tuple[Floats, Floats]:
    """When each warm-up call and each steady call began, as a share (0…1) of the time that the calls took."""
    times = np.concatenate([launch.warmup_ns, launch.steady_ns]).astype(np.float64)
    ends = np.cumsum(times)
    moments = (ends - times) / (ends[-1] or 1.0)
    return moments[: launch.warmup_ns.size], moments[launch.warmup_ns.size :]


def _calls(axes: Axes, place: int, launch: LaunchEvidence, unit: units.Unit) -> None:
    warm, steady = _moments(launch)
    left = place - 0.5 + GAP / 2
    begin = left + (1 - GAP) * (float(steady[0]) if steady.size else 1.0)
    axes.axvspan(begin, place + 0.5 - GAP / 2, facecolor=GRID, alpha=0.45, linewidth=0, zorder=0)
    for moments, times, colour in ((warm, launch.warmup_ns, WARMUP), (steady, launch.steady_ns, CALLS)):
        if not times.size:
            continue
        xs, ys = _thinned(left + (1 - GAP) * moments, times / unit.size)
        (dots,) = axes.plot(xs, ys, linestyle="none", marker=".", markersize=3, color=colour, alpha=0.8)
        part = "warm-up" if colour == WARMUP else "steady"
        median = unit.full(float(np.median(times)))
        tip(dots, f"launch {launch.index + 1}, {part}: {times.size} calls, median {median}")
    _levels(axes, launch, [*(left + (1 - GAP) * steady), place + 0.5 - GAP / 2], unit)


def _levels(axes: Axes, launch: LaunchEvidence, moments: Sequence[float], unit: units.Unit) -> None:
    """The median of the steady calls, in steps where they changed; ``moments`` are theirs, and the end."""
    found = levels(launch.steady_ns)
    for number, (first, median) in enumerate(found):
        after = found[number + 1][0] if number + 1 < len(found) else -1
        (line,) = axes.plot(
            [moments[first], moments[after]], [median / unit.size] * 2, color=INK, linewidth=1.2, zorder=4
        )
        if number:
            step = median / found[number - 1][1]
            axes.axvline(moments[first], color=INK, linewidth=0.9, linestyle=":", zorder=4)
            tip(line, f"launch {launch.index + 1}: from call {first + 1} on {unit.full(median)}, {step:.2f} × before")


def _thinned(xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """The slowest call of each stretch: outliers must show."""
    if xs.size <= MOST_CALLS:
        return xs, ys
    parts = np.array_split(np.arange(xs.size), MOST_CALLS)
    chosen = np.array([part[np.argmax(ys[part])] for part in parts])
    return xs[chosen], ys[chosen]


def _scale(axes: Axes, drawn: Sequence[LaunchEvidence], unit: units.Unit) -> None:
    calls = np.concatenate([np.concatenate([la.warmup_ns, la.steady_ns]) for la in drawn]) / unit.size
    words = f"latency of a call, {unit.name}"
    if is_spread([float(x) for x in np.percentile(calls, [0, 50, 100])]):
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        words += ", log."
    axes.set_ylabel(words, fontsize=FONT_SIZE, color=MUTED)
    bare(axes, grid="y")


def _temperature(state: StateSample) -> float | None:
    return max(state.temperatures_c.values(), default=None)


def _clock(state: StateSample) -> float | None:
    return max(state.cpu_khz) / 1000 if state.cpu_khz else None


def _strip(axes: Axes, drawn: Sequence[LaunchEvidence], label: str, clock: bool) -> None:
    read, colour = (_clock, CLOCK) if clock else (_temperature, HEAT)
    for place, launch in enumerate(drawn):
        values = [(state.at_ns, value) for state in launch.states if (value := read(state)) is not None]
        if not values:
            continue
        first, last = values[0][0], values[-1][0]
        xs = [place - 0.5 + GAP / 2 + (1 - GAP) * (at - first) / ((last - first) or 1) for at, _ in values]
        (line,) = axes.plot(xs, [value for _, value in values], color=colour, linewidth=1.4, marker=".", markersize=3)
        numbers = [value for _, value in values]
        tip(line, f"launch {launch.index + 1}: {label} from {min(numbers):.1f} to {max(numbers):.1f}")
    axes.set_ylabel(label.replace(", ", ",\n"), fontsize=FONT_SIZE - 2, color=MUTED)
    axes.margins(y=0.2)
    bare(axes, grid="y")
