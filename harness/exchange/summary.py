"""Summarises the launches of an imported cell, from their calls or from what their program says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.exchange.imported import ImportedCell, LatencyFigures
from harness.measure.latency import summarise, summarise_launch
from harness.measure.summary import middle_memory
from harness.plan.cells import Cell
from harness.records.measurement import LatencySummary, LaunchSummary, LoadSummary
from harness.records.origin import StatedFigure, StatedName
from harness.stats.launches import launch_interval, typical
from harness.stats.medians import median
from harness.stats.steady import SteadyState
from harness.wire import (
    LatencySamples,
    LoadTimes,
    MemoryReading,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    encode,
)

# Stores bytes with a suffix beside the run, and returns their digest.
Keep = Callable[[bytes, str], str]


def launches_of(cell: Cell, launches: Sequence[ImportedCell], keep: Keep) -> tuple[LaunchSummary, ...]:
    """Return the launches that have a latency; the calls of each are stored as a reply."""
    timed = [launch for launch in launches if launch.samples_ns or launch.latency]
    return tuple(_launch(cell, index, launch, keep) for index, launch in enumerate(timed))


def latency_of(launches: Sequence[ImportedCell]) -> LatencySummary | None:
    """Return the latency over all launches, None if none has any."""
    called = [launch.samples_ns for launch in launches if launch.samples_ns]
    if called:
        return summarise(called)
    told = [launch.latency for launch in launches if launch.latency]
    return _of_told(told) if told else None


def load_of(launches: Sequence[ImportedCell]) -> LoadSummary | None:
    """Return the load time and the first call of a typical launch, each None if no launch says it."""
    loads = [float(launch.load_ns) for launch in launches if launch.load_ns]
    firsts = [float(launch.first_ns) for launch in launches if launch.first_ns]
    if not loads and not firsts:
        return None
    return LoadSummary(
        first_ns=typical(loads) if loads else None, first_inference_ns=typical(firsts) if firsts else None
    )


def memory_of(launches: Sequence[ImportedCell]) -> MemoryReading | None:
    """Return the reading of the launch in the middle."""
    return middle_memory([launch.memory for launch in launches if launch.memory])


def stated_of(launches: Sequence[ImportedCell]) -> tuple[StatedFigure, ...]:
    """Return each stated figure once; of several launches their median, with one value per launch."""
    grouped: dict[StatedName, list[StatedFigure]] = {}
    for figure in (figure for launch in launches for figure in launch.stated):
        grouped.setdefault(figure.name, []).append(figure)
    return tuple(_joined(figures) for figures in grouped.values())


def _joined(figures: list[StatedFigure]) -> StatedFigure:
    if len(figures) == 1:
        return figures[0]
    values = tuple(figure.value for figure in figures)
    calls = [figure.calls for figure in figures]
    return replace(
        figures[0],
        value=median(values),
        launches=values,
        least=min((figure.least for figure in figures if figure.least is not None), default=None),
        most=max((figure.most for figure in figures if figure.most is not None), default=None),
        # That of all calls together cannot be told from those of the launches.
        deviation=None,
        calls=sum(count for count in calls if count) if all(calls) else None,
    )


def _launch(cell: Cell, index: int, launch: ImportedCell, keep: Keep) -> LaunchSummary:
    state, middle, calls = SteadyState.NOT_TOLD, 0.0, None
    if launch.latency:
        middle, calls = launch.latency.median_ns, launch.latency.calls
    if launch.samples_ns:
        steady = summarise_launch(launch.samples_ns, trim=False)
        state, middle, calls = steady.state, steady.median_ns, steady.calls
    memory = launch.memory
    return LaunchSummary(
        index=index,
        reply_sha256=keep(encode(_reply(cell, index, launch)), ".json") if launch.samples_ns else "",
        median_ns=middle,
        calls=calls,
        first_ns=launch.first_ns,
        load_ns=launch.load_ns,
        steady_state=state.value,
        memory_growth_bytes=(memory.held_bytes or 0) - memory.baseline_bytes if memory else None,
    )


def _reply(cell: Cell, index: int, launch: ImportedCell) -> RunReply:
    """The calls in the form of a runner's reply, so that everything that reads calls finds them."""
    return RunReply(
        cell=cell.key,
        launch=index,
        status=ReplyStatus.OK,
        runner=RunnerInfo(kind=launch.program, version=launch.program_version),
        load=LoadTimes(first_ns=launch.load_ns) if launch.load_ns else None,
        latency=LatencySamples(first_ns=launch.first_ns, warmup_ns=launch.warmup_ns, samples_ns=launch.samples_ns),
    )


def _of_told(told: Sequence[LatencyFigures]) -> LatencySummary:
    """One launch as its program says it; of several the typical median with its interval over launches."""
    medians = [figures.median_ns for figures in told]
    interval = launch_interval(medians)

    def middle(name: str) -> float | None:
        values = [value for figures in told if (value := getattr(figures, name)) is not None]
        return median(values) if values else None

    calls = [figures.calls for figures in told]
    least = [figures.min_ns for figures in told if figures.min_ns is not None]
    most = [figures.max_ns for figures in told if figures.max_ns is not None]
    return LatencySummary(
        median_ns=typical(medians),
        low_ns=interval.low_ns if interval else None,
        high_ns=interval.high_ns if interval else None,
        mean_ns=middle("mean_ns"),
        min_ns=min(least, default=None),
        p5_ns=middle("p5_ns"),
        p25_ns=middle("p25_ns"),
        p75_ns=middle("p75_ns"),
        p90_ns=middle("p90_ns"),
        p95_ns=middle("p95_ns"),
        p99_ns=middle("p99_ns"),
        variation=middle("variation"),
        calls=sum(count for count in calls if count) if all(calls) else None,
        launches=len(told),
        max_ns=max(most, default=None),
    )
