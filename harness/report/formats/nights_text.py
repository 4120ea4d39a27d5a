"""The nights of one series, or the newest night of all, as rows for the terminal and as JSON."""

from __future__ import annotations

from typing import Any

from harness.history.records import Latest, Night
from harness.history.story import Story
from harness.records import units
from harness.records.metrics import METRICS
from harness.records.units import PlainFormatter
from harness.report.charts.nights import COMMIT_SHOWN, commit_range, unit_of

TITLES = ("night", "value", "95 % interval", "launches", "commit", "")


def night_rows(story: Story, *, last: int) -> list[tuple[str, ...]]:
    """Return one row per night for the newest ``last`` nights, failed nights included; all rows have one unit."""
    unit = unit_of(story)
    notes = _notes(story)
    rows = [(night.created_at, _row(night, unit, notes.get(index, []))) for index, night in enumerate(story.nights)]
    rows += [(night.created_at, _row(night, unit, [night.status.value])) for night in story.gaps]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])][-last:]


def summary_lines(story: Story) -> list[str]:
    """Return the lines below the table: the level of the last segment, and each change and swap in words."""
    unit = unit_of(story)
    lines = []
    if story.segments:
        newest = story.segments[-1]
        since = story.nights[newest.first].night
        lines.append(
            f"level since {since}: {unit.full(newest.median)} over {units.nights(newest.last - newest.first + 1)}"
        )
    return lines + [f"{story.nights[i].night}: {words}" for i, notes in _notes(story).items() for words in notes]


def story_json(story: Story) -> dict[str, Any]:
    """Return ``story`` with all nights as plain values: times in ISO 8601, values in the unit of the series."""
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(story)
    return {"schema": 1, **plain}


def latest_rows(newest: Latest, *, most: int) -> list[tuple[str, ...]]:
    """Return the ``most`` series that differ most from the mean of earlier nights; series without any come last."""
    ratios = [value / mean if mean else None for value, mean in zip(newest.value, newest.mean, strict=True)]
    order = sorted(range(len(ratios)), key=lambda i: -abs((ratios[i] or 1.0) - 1))[:most]
    return [
        (
            newest.series[i],
            _show(newest, i, newest.value[i]),
            _show(newest, i, newest.mean[i]),
            f"{_show(newest, i, newest.low[i])} to {_show(newest, i, newest.high[i])}",
            str(newest.before[i]),
            units.NONE if ratios[i] is None else f"{100 * ((ratios[i] or 1.0) - 1):+.1f} %",
        )
        for i in order
    ]


def latest_json(newest: Latest | None) -> dict[str, Any]:
    """Return the newest night as plain values, one object per series."""
    if newest is None:
        return {"schema": 1, "night": None, "series": []}
    names = ("unit", "value", "before", "mean", "low", "high")
    columns = [getattr(newest, name) for name in names]
    items = [
        {"series": series, **dict(zip(names, row, strict=True))}
        for series, *row in zip(newest.series, *columns, strict=True)
    ]
    return {"schema": 1, "night": newest.night, "series": items}


def _row(night: Night, unit: units.Unit, notes: list[str]) -> tuple[str, ...]:
    figures = night.figures
    interval = units.NONE
    if figures is not None and figures.low is not None and figures.high is not None:
        interval = f"{unit.show(figures.low)} to {unit.show(figures.high)}"
    return (
        night.night,
        unit.full(figures.value if figures else None),
        interval,
        str(figures.count) if figures else units.NONE,
        (night.commit or units.NONE)[:COMMIT_SHOWN],
        "; ".join([*notes, *night.conditions]),
    )


def _notes(story: Story) -> dict[int, list[str]]:
    """What happened on each night, in words, by the index of the night."""
    notes: dict[int, list[str]] = {}
    for swap in story.swaps:
        notes.setdefault(swap.index, []).append(f"{swap.kind} swapped: {swap.before} → {swap.after}")
    for change in story.changes:
        size = "" if change.ratio is None else f" by {100 * (change.ratio - 1):+.1f} %"
        interval = ""
        if change.low is not None and change.high is not None:
            interval = f" ({100 * (change.low - 1):+.1f} to {100 * (change.high - 1):+.1f} %)"
        way = "worse" if change.worse else "better"
        words = f"{change.decision or 'suspected'} change for the {way}{size}{interval}, {commit_range(change)}"
        notes.setdefault(change.index, []).append(words)
    return dict(sorted(notes.items()))


def _show(newest: Latest, index: int, value: float | None) -> str:
    """One value of a series. For a metric that a later version added, a plain number with its unit."""
    metric = METRICS.get(newest.metric[index])
    formatter = PlainFormatter(name=newest.unit[index]) if metric is None else metric.formatter
    return formatter.text(value)
