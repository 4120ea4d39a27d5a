"""Reads a history: its series, the nights of one, the newest night of all, decisions, and kept artifacts."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from harness.errors import UsageError, suggestion
from harness.history import tables
from harness.history.database import History
from harness.history.records import Decided, Decision, Environment, Figures, Latest, Night, NightStatus, Series
from harness.history.sql import sa
from harness.records.metrics import HEADLINE

WINDOW = 7

_SPREAD = tuple(tables.value.c[name] for name in ("low", "high", "p90", "mean", "mad", "count"))
_SERIES = tuple(column for column in tables.series.c if column.name != "id")


def list_series(history: History) -> tuple[Series, ...]:
    """Return every series, sorted by name. Raises `StoreError`."""
    with history.reading() as connection:
        return tuple(_series(row) for row in connection.execute(sa.select(*_SERIES).order_by(tables.series.c.name)))


def find_series(history: History, name: str) -> Series:
    """Return the series of that name, or the only one whose name contains it. A cell's key alone means its latency.

    Raises `UsageError` if no series or several match, `StoreError`.
    """
    by_name = {series.name: series for series in list_series(history)}
    for exact in (name, f"{name}/{HEADLINE.name}"):
        if exact in by_name:
            return by_name[exact]
    containing = [n for n in by_name if name in n]
    matches = [n for n in containing if n.endswith(f"/{HEADLINE.name}")] if len(containing) > 1 else containing
    if len(matches) == 1:
        return by_name[matches[0]]
    if matches or containing:
        several = matches or containing
        msg = f"{name!r} matches {len(several)} series ({', '.join(several[:4])}, …): type more of the name"
        raise UsageError(msg)
    near = suggestion(name, by_name) if len(by_name) <= 20 else "list them with: phonebench history list"
    msg = f"{name!r} is not a series in {history.where!r}; {near}"
    raise UsageError(msg)


def series_named(history: History, name: str) -> Series | None:
    """Return the series with exactly this name, None if there is none. Raises `StoreError`."""
    query = sa.select(*_SERIES).where(tables.series.c.name == name)
    with history.reading() as connection:
        row = connection.execute(query).one_or_none()
        return None if row is None else _series(row)


def nights_of(history: History, series: str, *, last: int | None = None) -> tuple[Night, ...]:
    """Return the nights of a series, oldest first, with superseded attempts before the one that counts.

    ``last``: return only this many of the newest. Raises `StoreError`.
    """
    value, run = tables.value, tables.run
    this = sa.select(tables.series.c.id).where(tables.series.c.name == series).scalar_subquery()
    query = (
        sa.select(
            run.c.name,
            run.c.night,
            run.c.created_at,
            run.c.commit_id,
            tables.artifact.c.identity,
            value.c.environment_id,
            value.c.attempt,
            value.c.status,
            value.c.conditions,
            value.c.value,
            *_SPREAD,
        )
        .select_from(value)
        .join(run, run.c.id == value.c.run_id)
        .join(tables.artifact, tables.artifact.c.id == value.c.artifact_id)
        .where(value.c.series_id == this)
        .order_by(run.c.created_at.desc(), run.c.id.desc(), value.c.attempt.desc())
        .limit(last)
    )
    with history.reading() as connection:
        # The limit keeps the newest, so the query runs from the end; the caller gets the oldest first.
        rows = [tuple(row) for row in connection.execute(query)][::-1]
        environments = _environments(connection, {row[5] for row in rows})
    return tuple(_night(row, environments) for row in rows)


def latest(history: History, *, window: int = WINDOW) -> Latest | None:
    """Return the newest night of every series with a value in it, and a summary of the ``window`` nights before.

    None for a history without nights. Raises `StoreError`.
    """
    run = tables.run
    nights = sa.select(run.c.night).distinct().order_by(run.c.night.desc()).limit(window + 1)
    with history.reading() as connection:
        newest_first = list(connection.execute(nights).scalars())
        if not newest_first:
            return None
        runs = sa.select(run.c.id, run.c.night).where(run.c.night.in_(newest_first)).order_by(run.c.id)
        ids = list(connection.execute(runs))
        now = [id_ for id_, night in ids if night == newest_first[0]]
        rows = connection.execute(_against(now, [id_ for id_, _ in ids if id_ not in now])).all()
    # A series may have been measured by two runs that night: the last one counts.
    columns = tuple(zip(*sorted({row[0]: row for row in rows}.values(), key=itemgetter(0)), strict=True)) or ((),) * 8
    names, metrics, units, values, counts, means, lows, highs = columns
    return Latest(
        night=newest_first[0],
        series=names,
        metric=metrics,
        unit=units,
        value=values,
        before=tuple(count or 0 for count in counts),
        mean=means,
        low=lows,
        high=highs,
    )


def decisions_of(history: History, series: str) -> tuple[Decided, ...]:
    """Return the outcomes of confirmations for a series, oldest first. Raises `StoreError`."""
    first, seen, decision = tables.run.alias(), tables.run.alias(), tables.decision
    query = (
        sa.select(
            tables.series.c.name,
            first.c.name,
            seen.c.name,
            decision.c.decision,
            decision.c.ratio,
            decision.c.low,
            decision.c.high,
        )
        .select_from(decision)
        .join(tables.series, tables.series.c.id == decision.c.series_id)
        .join(first, first.c.id == decision.c.first_run_id)
        .join(seen, seen.c.id == decision.c.seen_run_id)
        .where(tables.series.c.name == series)
        .order_by(seen.c.created_at)
    )
    with history.reading() as connection:
        return tuple(
            Decided(
                series=name,
                first_run=first_run,
                seen_run=seen_run,
                decision=Decision(decision_name),
                ratio=ratio,
                low=low,
                high=high,
            )
            for name, first_run, seen_run, decision_name, ratio, low, high in connection.execute(query)
        )


def artifact_uri(history: History, sha256: str) -> str | None:
    """Return where the artifact with that digest is kept, None if it is not. Raises `StoreError`."""
    query = sa.select(tables.artifact.c.uri).where(tables.artifact.c.identity == sha256)
    with history.reading() as connection:
        uri: str | None = connection.execute(query).scalar()
        return uri


def _against(now: list[int], before: list[int]) -> sa.Select[Any]:
    """Select the values of the runs ``now`` in order, with count, mean, minimum and maximum of the runs ``before``."""
    value, series = tables.value, tables.series
    number, ok = value.c.value, value.c.status == NightStatus.OK.value
    figures = (
        sa.func.count().label("nights"),
        sa.func.avg(number).label("mean"),
        sa.func.min(number).label("low"),
        sa.func.max(number).label("high"),
    )
    past = sa.select(value.c.series_id, *figures).where(value.c.run_id.in_(before), ok)
    grouped = past.group_by(value.c.series_id).subquery()
    return (
        sa.select(series.c.name, series.c.metric, series.c.unit, number, *(grouped.c[f.name] for f in figures))
        .select_from(value)
        .join(series, series.c.id == value.c.series_id)
        .outerjoin(grouped, grouped.c.series_id == value.c.series_id)
        .where(value.c.run_id.in_(now), ok)
        .order_by(value.c.run_id)
    )


def _environments(connection: sa.Connection, ids: set[int]) -> dict[int, Environment]:
    environment, device = tables.environment, tables.device
    columns = [(device if name in device.c else environment).c[name] for name in Environment.__slots__]
    query = (
        sa.select(environment.c.id, *columns)
        .select_from(environment)
        .join(device, device.c.id == environment.c.device_id)
        .where(environment.c.id.in_(ids))
    )
    return {
        id_: Environment(**dict(zip(Environment.__slots__, facts, strict=True)))
        for id_, *facts in connection.execute(query)
    }


def _series(row: Any) -> Series:
    return Series(**{name: getattr(row, name) for name in Series.__slots__})


def _night(row: tuple[Any, ...], environments: dict[int, Environment]) -> Night:
    run, night, created_at, commit, artifact, environment, attempt, status, conditions, value, *spread = row
    low, high, p90, mean, mad, count = spread
    figures = None
    if value is not None:
        figures = Figures(value=value, low=low, high=high, p90=p90, mean=mean, mad=mad, count=count)
    return Night(
        run=run,
        night=night,
        created_at=created_at,
        commit=commit,
        attempt=attempt,
        status=NightStatus(status),
        figures=figures,
        conditions=tuple(conditions.split(",")) if conditions else (),
        artifact_sha256=artifact,
        environment=environments[environment],
    )
