"""Adds nights and decisions to a history. What is there already never changes; adding it again has no effect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import StoreError
from harness.history import tables
from harness.history.database import History, insert_new
from harness.history.figures import entries_of, run_facts
from harness.history.records import Decided, Environment, HistoryEntry, RunFacts
from harness.history.sql import sa
from harness.store.records import RunRecord
from harness.system.files import json_sha256

# SQLite allows 32,766 parameters per statement, and a lookup by name needs one per name.
CHUNK = 5000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestCounts:
    """How many values were new (``added``), and how many were there already (``known``)."""

    added: int
    known: int


def ingest(history: History, run: RunRecord) -> IngestCounts:
    """Add a stored run. If it raises `StoreError`, nothing of the run has been added."""
    return append(history, run_facts(run), entries_of(run))


def append(history: History, run: RunFacts, entries: Sequence[HistoryEntry]) -> IngestCounts:
    """Add ``entries`` as the night of ``run``, in one transaction. Raises `StoreError`."""
    with history.writing() as connection:
        run_id = _run_id(connection, run)
        before = _count(connection, run_id)
        series = _ids(connection, tables.series, "name", _series_rows(entries))
        environments = _environment_ids(connection, dict.fromkeys(entry.environment for entry in entries))
        kinds = {entry.artifact_sha256: entry.artifact_kind for entry in entries}
        artifacts = _ids(
            connection, tables.artifact, "identity", [{"identity": sha, "kind": kind} for sha, kind in kinds.items()]
        )
        rows = [
            _value_row(entry)
            | {
                "run_id": run_id,
                "series_id": series[entry.series.name],
                "artifact_id": artifacts[entry.artifact_sha256],
                "environment_id": environments[entry.environment],
            }
            for entry in entries
        ]
        if rows:
            # In key order, so that each page of the table is written once.
            rows.sort(key=lambda row: (row["series_id"], row["attempt"]))
            connection.execute(insert_new(connection, tables.value), rows)
        # Counted, because the drivers do not report how many rows an insert skipped.
        added = _count(connection, run_id) - before
    return IngestCounts(added=added, known=len(rows) - added)


def keep_artifact(history: History, sha256: str, uri: str) -> None:
    """Record where the artifact with that digest is kept. Raises `StoreError`."""
    artifact = tables.artifact
    with history.writing() as connection:
        connection.execute(artifact.update().where(artifact.c.identity == sha256).values(uri=uri))


def decide(history: History, decided: Decided) -> None:
    """Add a confirmation's outcome; for a series and a night, the first one counts. Raises `StoreError`."""
    with history.writing() as connection:
        row = {
            "series_id": _known_id(connection, tables.series, decided.series),
            "seen_run_id": _known_id(connection, tables.run, decided.seen_run),
            "first_run_id": _known_id(connection, tables.run, decided.first_run),
            "decision": decided.decision.value,
            "ratio": decided.ratio,
            "low": decided.low,
            "high": decided.high,
        }
        connection.execute(insert_new(connection, tables.decision), [row])


def _run_id(connection: sa.Connection, run: RunFacts) -> int:
    row = {
        "name": run.name,
        "night": run.night,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "commit_id": run.commit,
        "versions": json.dumps(run.versions, sort_keys=True),
    }
    return _ids(connection, tables.run, "name", [row])[run.name]


def _count(connection: sa.Connection, run_id: int) -> int:
    query = sa.select(sa.func.count()).select_from(tables.value).where(tables.value.c.run_id == run_id)
    return int(connection.execute(query).scalar_one())


def _known_id(connection: sa.Connection, table: sa.Table, name: str) -> int:
    row_id = connection.execute(sa.select(table.c.id).where(table.c.name == name)).scalar()
    if row_id is None:
        msg = f"the history has no {table.name} {name!r}: add the run before the decision about it"
        raise StoreError(msg)
    return int(row_id)


def _ids(connection: sa.Connection, table: sa.Table, key: str, rows: Sequence[Row]) -> dict[str, int]:
    """The id of each row by its key; missing rows are inserted."""
    by_key = {row[key]: row for row in rows}
    ids = _look_up(connection, table, key, by_key)
    missing = [row for name, row in by_key.items() if name not in ids]
    if missing:
        connection.execute(insert_new(connection, table), missing)
        # Ids are looked up rather than returned by the insert: another writer may have inserted the row first.
        ids |= _look_up(connection, table, key, [row[key] for row in missing])
    return ids


def _look_up(connection: sa.Connection, table: sa.Table, key: str, names: Iterable[str]) -> dict[str, int]:
    listed, ids = list(names), {}
    for start in range(0, len(listed), CHUNK):
        query = sa.select(table.c[key], table.c.id).where(table.c[key].in_(listed[start : start + CHUNK]))
        ids.update({name: id_ for name, id_ in connection.execute(query)})
    return ids


def _environment_ids(connection: sa.Connection, environments: Iterable[Environment]) -> dict[Environment, int]:
    listed = list(environments)
    devices = [_device_row(environment) for environment in listed]
    device_ids = _ids(connection, tables.device, "identity", devices)
    rows: list[Row] = [
        {
            "identity": _identity(asdict(environment)),
            "device_id": device_ids[device["identity"]],
            "runtime": environment.runtime,
            "runtime_version": environment.runtime_version,
            "delegate_used": environment.delegate_used,
            "runner": environment.runner,
            "data_sha256": environment.data_sha256,
        }
        for environment, device in zip(listed, devices, strict=True)
    ]
    ids = _ids(connection, tables.environment, "identity", rows)
    return {environment: ids[row["identity"]] for environment, row in zip(listed, rows, strict=True)}


def _device_row(environment: Environment) -> Row:
    row: Row = {name: getattr(environment, name) for name in ("serial_hash", "device_class", "soc", "os_build")}
    return row | {"identity": _identity(row)}


def _identity(values: Row) -> str:
    # A digest instead of the facts: PostgreSQL limits the length of an index key.
    return json_sha256(values)


def _series_rows(entries: Sequence[HistoryEntry]) -> list[Row]:
    return [
        {name: getattr(series, name) for name in series.__slots__}
        for series in {entry.series.name: entry.series for entry in entries}.values()
    ]


def _value_row(entry: HistoryEntry) -> Row:
    figures = entry.figures
    return {
        "attempt": entry.attempt,
        "status": entry.status.value,
        "value": figures.value if figures else None,
        "low": figures.low if figures else None,
        "high": figures.high if figures else None,
        "p90": figures.p90 if figures else None,
        "mean": figures.mean if figures else None,
        "mad": figures.mad if figures else None,
        "count": figures.count if figures else 0,
        "conditions": ",".join(entry.conditions),
    }
