"""What is asked of a history: its series, the nights of one, the newest night of all, decisions, kept artifacts."""

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
    """Return every series, by name. Raises `StoreError`."""
    with history.reading() as connection:
        return tuple(_series(row) for row in connection.execute(sa.select(*_SERIES).order_by(tables.series.c.name)))


def find_series(history: History, name: str) -> Series:
    """Return the series of that name; a cell's key alone means its latency, a part of a name will do if it is unique.

    Raises `UsageError` when none or several fit, `StoreError`.
    """
    known = {series.name: series for series in list_series(history)}
    for exact in (name, f"{name}/{HEADLINE.name}"):
        if exact in known:
            return known[exact]
    parts = [n for n in known if name in n]
    fits = [n for n in parts if n.endswith(f"/{HEADLINE.name}")] if len(parts) > 1 else parts
    if len(fits) == 1:
        return known[fits[0]]
    if fits or parts:
        several = fits or parts
        msg = f"{name!r} fits {len(several)} series ({', '.join(several[:4])}, …): write more of the name"
        raise UsageError(msg)
    near = suggestion(name, known) if len(known) <= 20 else "list them with: phonebench history list"
    msg = f"{name!r} is no series of {history.where!r}; {near}"
    raise UsageError(msg)


def nights_of(history: History, series: str, *, last: int | None = None) -> tuple[Night, ...]:
    """Return the nights of a series, oldest first, superseded attempts before the one that counts.

    ``last``: only so many of them, the newest. Raises `StoreError`.
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
        rows = [tuple(row) for row in connection.execute(query)][::-1]
        environments = _environments(connection, {row[5] for row in rows})
    return tuple(_night(row, environments) for row in rows)


def latest(history: History, *, window: int = WINDOW) -> Latest | None:
    """Return the newest night of every series that has a value in it, beside the ``window`` nights before.

    None for a history without nights. Raises `StoreError`.
    """
    run = tables.run
    nights = sa.select(run.c.night).distinct().order_by(run.c.night.desc()).limit(window + 1)
    with history.reading() as connection:
        found = list(connection.execute(nights).scalars())
        if not found:
            return None
        ids = list(
            connection.execute(sa.select(run.c.id, run.c.night).where(run.c.night.in_(found)).order_by(run.c.id))
        )
        now = [id_ for id_, night in ids if night == found[0]]
        rows = connection.execute(_against(now, [id_ for id_, _ in ids if id_ not in now])).all()
    # A series may have been run twice that night: the last run counts.
    columns = tuple(zip(*sorted({row[0]: row for row in rows}.values(), key=itemgetter(0)), strict=True)) or ((),) * 8
    names, metrics, units, values, counts, means, lows, highs = columns
    return Latest(
        night=found[0],
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
    """Return what confirmations said of changes of a series, oldest first. Raises `StoreError`."""
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
                decision=Decision(said),
                ratio=ratio,
                low=low,
                high=high,
            )
            for name, first_run, seen_run, said, ratio, low, high in connection.execute(query)
        )


def artifact_uri(history: History, sha256: str) -> str | None:
    """Return where the artifact of that digest is kept, None when nobody keeps it. Raises `StoreError`."""
    query = sa.select(tables.artifact.c.uri).where(tables.artifact.c.identity == sha256)
    with history.reading() as connection:
        found: str | None = connection.execute(query).scalar()
        return found


def _against(now: list[int], before: list[int]) -> sa.Select[Any]:
    """The values of the runs ``now``, in their order, with number, mean, least and greatest of the runs ``before``."""
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
    known = None
    if value is not None:
        known = Figures(value=value, low=low, high=high, p90=p90, mean=mean, mad=mad, count=count)
    return Night(
        run=run,
        night=night,
        created_at=created_at,
        commit=commit,
        attempt=attempt,
        status=NightStatus(status),
        figures=known,
        conditions=tuple(conditions.split(",")) if conditions else (),
        artifact_sha256=artifact,
        environment=environments[environment],
    )
