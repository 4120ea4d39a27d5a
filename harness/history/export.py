"""The whole history as one Parquet file, ordered by series and time, for data tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.errors import MissingPackageError
from harness.history import tables
from harness.history.database import History
from harness.history.sql import sa
from harness.system.files import storage_errors

# Rows per row group: few enough for little memory, many enough to compress well.
BATCH = 100_000

_SERIES = ("model", "variant", "format", "delegate", "threads", "device", "profile", "metric", "unit", "polarity")
_VALUE = ("attempt", "status", "value", "low", "high", "p90", "mean", "mad", "count", "conditions")
_DEVICE = ("serial_hash", "device_class", "soc", "os_build")
_ENVIRONMENT = ("runtime", "runtime_version", "delegate_used", "runner", "data_sha256")


def export_parquet(history: History, path: Path) -> int:
    """Write every value with its series, run and environment to ``path``, completely or not at all; return how many.

    Raises `StoreError`, or `MissingPackageError` without pyarrow.
    """
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingPackageError(package="pyarrow", extra="history", purpose="writing Parquet") from error
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with parquet.ParquetWriter(part, _schema(), compression="zstd") as writer:
                written = _write(history, writer)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return written


def _write(history: History, writer: Any) -> int:
    import pyarrow as pa

    query, schema, written = _query(), _schema(), 0
    with history.reading() as connection:
        # Streamed, because a history may be larger than memory.
        rows = connection.execution_options(stream_results=True, yield_per=BATCH).execute(query)
        for batch in rows.partitions():
            columns = dict(zip(schema.names, zip(*batch, strict=True), strict=True))
            writer.write_table(pa.table(columns, schema=schema))
            written += len(batch)
    return written


def _columns() -> list[sa.ColumnElement[Any]]:
    run = tables.run
    return [
        tables.series.c.name.label("series"),
        *(tables.series.c[name] for name in _SERIES),
        run.c.name.label("run"),
        run.c.night,
        run.c.created_at,
        run.c.commit_id.label("commit"),
        *(tables.value.c[name] for name in _VALUE),
        tables.artifact.c.identity.label("artifact_sha256"),
        *(tables.device.c[name] for name in _DEVICE),
        *(tables.environment.c[name] for name in _ENVIRONMENT),
    ]


def _query() -> sa.Select[Any]:
    value, environment = tables.value, tables.environment
    return (
        sa.select(*_columns())
        .select_from(value)
        .join(tables.series, tables.series.c.id == value.c.series_id)
        .join(tables.run, tables.run.c.id == value.c.run_id)
        .join(tables.artifact, tables.artifact.c.id == value.c.artifact_id)
        .join(environment, environment.c.id == value.c.environment_id)
        .join(tables.device, tables.device.c.id == environment.c.device_id)
        .order_by(value.c.series_id, value.c.run_id, value.c.attempt)
    )


def _schema() -> Any:
    import pyarrow as pa

    kinds = {sa.Text: pa.string(), sa.Double: pa.float64(), sa.Integer: pa.int32(), sa.SmallInteger: pa.int16()}
    return pa.schema([(column.name, kinds[type(column.type)]) for column in _columns()])
