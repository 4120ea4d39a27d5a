"""Answers the questions of somebody who browses a history, a page at a time.

Each query reads what its page shows and no more: a page of series reads the nights of those series only, and a page of
a night reads the index over that night. So a page costs the same whether the history holds a month or years.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.history import tables
from harness.history.database import History
from harness.history.records import Decided, Decision, Environment, NightStatus
from harness.history.sql import sa

PAGE = 50
# Nights that a night is compared with.
BEFORE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a list to read: ``size`` rows from the row ``first``, counted from 0."""

    first: int = 0
    size: int = PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """How much a history holds."""

    series: int
    nights: int
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLine:
    """A series with its newest good value; ``night`` is None if it has none. ``nights`` counts the good ones."""

    name: str
    metric: str
    unit: str
    nights: int = 0
    night: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NightLine:
    """One run of the history. Times are ISO 8601, UTC; ``finished_at`` is None if it was stopped."""

    name: str
    night: str
    created_at: str
    finished_at: str | None
    commit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A value of one night beside the mean of the nights before; ``mean`` is None if there are none."""

    series: str
    metric: str
    unit: str
    value: float
    nights: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSummary:
    """One night: how many values it has by status, and what moved the most, the largest relative change first."""

    line: NightLine
    statuses: dict[NightStatus, int]
    moved: tuple[Moved, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLine:
    """A device by the key that its series carry; ``night`` is its newest, ``environment`` what it was then."""

    key: str
    series: int
    night: str | None
    environment: Environment | None


def sums(history: History) -> Sums:
    """Return how much ``history`` holds. Raises `StoreError`."""
    series, run = tables.series.c, tables.run.c
    counts = (sa.func.count(), sa.func.count(series.device.distinct()))
    with history.reading() as connection:
        total, devices = connection.execute(sa.select(*counts).select_from(tables.series)).one()
        nights = connection.execute(sa.select(sa.func.count(run.night.distinct()))).scalar_one()
    return Sums(series=total, nights=nights, devices=devices)


def find_lines(history: History, words: str, page: Page) -> tuple[tuple[SeriesLine, ...], int]:
    """Return a page of the series whose names contain all ``words``, and how many there are. Raises `StoreError`."""
    series = tables.series.c
    wanted = [series.name.icontains(word, autoescape=True) for word in words.split()]
    listed = sa.select(series.id, series.name, series.metric, series.unit).where(*wanted)
    with history.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(tables.series).where(*wanted)).scalar_one()
        rows = connection.execute(listed.order_by(series.name).offset(page.first).limit(page.size)).all()
        newest = {row.series_id: row for row in connection.execute(_newest([row.id for row in rows]))}
    lines = tuple(_series_line(row, newest.get(row.id)) for row in rows)
    return lines, total


def list_nights(history: History, page: Page) -> tuple[tuple[NightLine, ...], int]:
    """Return a page of nights, the newest first, and how many there are. Raises `StoreError`."""
    run = tables.run.c
    query = _night_lines().order_by(run.created_at.desc(), run.id.desc()).offset(page.first).limit(page.size)
    with history.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(tables.run)).scalar_one()
        return tuple(_night_line(row) for row in connection.execute(query)), total


def night_summary(history: History, name: str, *, most: int = PAGE) -> NightSummary:
    """Return the night of the run ``name``, with at most ``most`` rows of each kind. Raises `UsageError`, `StoreError`.

    What moved is relative to the mean of the seven nights before.
    """
    run, value, series = tables.run, tables.value.c, tables.series.c
    with history.reading() as connection:
        row = connection.execute(_night_lines().where(run.c.name == name)).one_or_none()
        if row is None:
            msg = f"the history has no night {name!r}"
            raise UsageError(msg)
        counts = sa.select(value.status, sa.func.count()).where(value.run_id == row.id).group_by(value.status)
        statuses = {NightStatus(status): number for status, number in connection.execute(counts)}
        moved = connection.execute(_moved(row.id, _runs_before(connection, row), most)).all()
        bad = (
            sa.select(series.name)
            .join(tables.value, value.series_id == series.id)
            .where(value.run_id == row.id, value.status.in_([NightStatus.FAILED.value, NightStatus.BROKEN.value]))
            .order_by(series.name)
            .limit(most)
        )
        failed = tuple(connection.execute(bad).scalars())
    names = Moved.__slots__
    return NightSummary(
        line=_night_line(row),
        statuses=statuses,
        moved=tuple(Moved(**{name: getattr(row, name) for name in names}) for row in moved),
        failed=failed,
    )


def list_devices(history: History) -> tuple[DeviceLine, ...]:
    """Return every device, sorted by key. Raises `StoreError`."""
    series = tables.series.c
    counts = sa.select(series.device, sa.func.count()).group_by(series.device).order_by(series.device)
    with history.reading() as connection:
        count = {device: number for device, number in connection.execute(counts)}
        newest = sa.select(tables.run.c.id).order_by(tables.run.c.created_at.desc(), tables.run.c.id.desc()).limit(1)
        seen = _seen_in(connection, connection.execute(newest).scalar())
        return tuple(_device_line(connection, key, count[key], seen.get(key)) for key in count)


def device_named(history: History, key: str) -> DeviceLine | None:
    """Return the device with this key, None if no series has it. Raises `StoreError`."""
    with history.reading() as connection:
        counted = sa.select(sa.func.count()).where(tables.series.c.device == key)
        number = connection.execute(counted).scalar_one()
        return _device_line(connection, key, number, None) if number else None


def newest_decisions(history: History, *, most: int = PAGE) -> tuple[Decided, ...]:
    """Return the outcomes of the newest confirmations of all series, the newest first. Raises `StoreError`."""
    first, seen, decision = tables.run.alias(), tables.run.alias(), tables.decision.c
    query = (
        sa.select(
            tables.series.c.name.label("series"),
            first.c.name.label("first_run"),
            seen.c.name.label("seen_run"),
            decision.decision,
            decision.ratio,
            decision.low,
            decision.high,
        )
        .select_from(tables.decision)
        .join(tables.series, tables.series.c.id == decision.series_id)
        .join(first, first.c.id == decision.first_run_id)
        .join(seen, seen.c.id == decision.seen_run_id)
        .order_by(seen.c.created_at.desc(), tables.series.c.name)
        .limit(most)
    )
    with history.reading() as connection:
        rows = connection.execute(query).mappings()
        return tuple(Decided(**{**row, "decision": Decision(row["decision"])}) for row in rows)


def _newest(ids: Sequence[int]) -> sa.Select[Any]:
    """The newest good value of each of these series, with the count of good ones."""
    value, run = tables.value.c, tables.run.c
    newest_first = (run.created_at.desc(), run.id.desc(), value.attempt.desc())
    ranked = (
        sa.select(
            value.series_id,
            value.value,
            value.low,
            value.high,
            run.night,
            sa.func.row_number().over(partition_by=value.series_id, order_by=newest_first).label("place"),
            sa.func.count().over(partition_by=value.series_id).label("nights"),
        )
        .select_from(tables.value)
        .join(tables.run, run.id == value.run_id)
        .where(value.series_id.in_(ids), value.status == NightStatus.OK.value)
        .subquery()
    )
    return sa.select(ranked).where(ranked.c.place == 1)


def _night_lines() -> sa.Select[Any]:
    run = tables.run.c
    return sa.select(run.id, run.name, run.night, run.created_at, run.finished_at, run.commit_id)


def _runs_before(connection: sa.Connection, night: Any) -> list[int]:
    """The runs of the nights before, all of each."""
    run = tables.run.c
    days = sa.select(run.night).distinct().where(run.night < night.night).order_by(run.night.desc()).limit(BEFORE)
    names = list(connection.execute(days).scalars())
    return list(connection.execute(sa.select(run.id).where(run.night.in_(names))).scalars())


def _moved(now: int, before: Sequence[int], most: int) -> sa.Select[Any]:
    """The values of the run ``now`` that differ most from the mean of ``before``.

    They are sorted before they meet their series, so that only the rows of the page are looked up.
    """
    value, series = tables.value.c, tables.series.c
    ok = value.status == NightStatus.OK.value
    past = (
        sa.select(
            value.series_id,
            sa.func.count().label("nights"),
            sa.func.avg(value.value).label("mean"),
            sa.func.min(value.value).label("low"),
            sa.func.max(value.value).label("high"),
        )
        .where(value.run_id.in_(before), ok)
        .group_by(value.series_id)
        .subquery()
    )
    change = sa.func.abs(value.value / sa.func.nullif(past.c.mean, 0) - 1)
    top = (
        sa.select(value.series_id, value.value, past.c.nights, past.c.mean, past.c.low, past.c.high)
        .add_columns(change.label("change"))
        .select_from(tables.value)
        .outerjoin(past, past.c.series_id == value.series_id)
        .where(value.run_id == now, ok)
        .order_by(change.desc().nulls_last(), value.series_id)
        .limit(most)
        .subquery()
    )
    return (
        sa.select(
            series.name.label("series"),
            series.metric,
            series.unit,
            top.c.value,
            sa.func.coalesce(top.c.nights, 0).label("nights"),
            top.c.mean,
            top.c.low,
            top.c.high,
        )
        .join(top, top.c.series_id == series.id)
        .order_by(top.c.change.desc().nulls_last(), series.name)
    )


def _seen_in(connection: sa.Connection, run_id: int | None) -> dict[str, tuple[int, int]]:
    """A value of each device in one run, as (run, series). Most devices are in the newest run, so this finds most."""
    series, value = tables.series.c, tables.value.c
    query = (
        sa.select(series.device, sa.func.min(value.series_id))
        .join(tables.value, value.series_id == series.id)
        .where(value.run_id == run_id)
        .group_by(series.device)
    )
    return {} if run_id is None else {device: (run_id, id_) for device, id_ in connection.execute(query)}


def _last_added(connection: sa.Connection, key: str) -> tuple[int, int] | None:
    """A value of the device from the run that was added last, as (run, series)."""
    series, value = tables.series, tables.value.c
    last = sa.select(sa.func.max(value.run_id)).where(value.series_id == series.c.id).scalar_subquery()
    runs = sa.select(series.c.id, last.label("run")).where(series.c.device == key)
    pairs = [(run_id, id_) for id_, run_id in connection.execute(runs) if run_id is not None]
    return max(pairs, default=None)


def _device_line(connection: sa.Connection, key: str, number: int, seen: tuple[int, int] | None) -> DeviceLine:
    seen = seen or _last_added(connection, key)
    if seen is None:
        return DeviceLine(key=key, series=number, night=None, environment=None)
    night, place = _environment_at(connection, *seen)
    return DeviceLine(key=key, series=number, night=night, environment=place)


def _environment_at(connection: sa.Connection, run_id: int, series_id: int) -> tuple[str, Environment]:
    """The night of a value, and what it ran on; the last attempt counts."""
    environment, device, value = tables.environment, tables.device, tables.value.c
    columns = [(device if name in device.c else environment).c[name] for name in Environment.__slots__]
    query = (
        sa.select(tables.run.c.night, *columns)
        .select_from(tables.value)
        .join(environment, environment.c.id == value.environment_id)
        .join(device, device.c.id == environment.c.device_id)
        .join(tables.run, tables.run.c.id == value.run_id)
        .where(value.series_id == series_id, value.run_id == run_id)
        .order_by(value.attempt.desc())
        .limit(1)
    )
    night, *facts = connection.execute(query).one()
    return night, Environment(**dict(zip(Environment.__slots__, facts, strict=True)))


def _series_line(row: Any, newest: Any) -> SeriesLine:
    if newest is None:
        return SeriesLine(name=row.name, metric=row.metric, unit=row.unit)
    return SeriesLine(
        name=row.name,
        metric=row.metric,
        unit=row.unit,
        nights=newest.nights,
        night=newest.night,
        value=newest.value,
        low=newest.low,
        high=newest.high,
    )


def _night_line(row: Any) -> NightLine:
    return NightLine(
        name=row.name,
        night=row.night,
        created_at=row.created_at,
        finished_at=row.finished_at,
        commit=row.commit_id,
    )
