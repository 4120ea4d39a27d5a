"""Parquet: tables of cells, launches, samples and operators, with units in the names of the columns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from harness.errors import MissingPackageError
from harness.exchange.outgoing import Files, Outgoing
from harness.report.formats.csv import cell_row, columns
from harness.report.view import CellView

_LAUNCH = ("index", "retry", "median_ns", "calls", "first_ns", "load_ns", "steady_state", "memory_growth_bytes")
_OPERATOR = ("name", "kind", "calls", "total_ns", "nodes", "ran_on", "delegated", "reason")

_FLAGS = ("delegated", "score_higher_is_better")
_WHOLE = (
    "threads", "calls", "launches", "count", "correct", "parameters", "macs", "nodes_total", "nodes_delegated", "nodes",
    "index", "retry", "launch", "call", "differing", "worst_input", "inputs_lost", "inputs_won",
)  # fmt: skip
_TEXTS = (
    "run", "cell", "key", "model", "variant", "format", "backend", "delegate", "device", "profile", "status", "reason",
    "artifact_sha256", "accuracy_metric", "score_metric", "score_unit", "worst_group", "runtime", "runtime_version",
    "delegate_used", "runner", "conditions", "steady_state", "tainted", "name", "kind", "ran_on",
)  # fmt: skip

Row = dict[str, Any]


def tables(outgoing: Outgoing) -> Files:
    """Return the four tables. Raises `MissingPackageError` without pyarrow."""
    return {
        "cells.parquet": _file(("run", *columns()), [{"run": outgoing.head.id, **cell_row(v)} for v in outgoing.views]),
        "launches.parquet": _file(("run", "cell", *_LAUNCH, "tainted"), list(_launches(outgoing))),
        "samples.parquet": _samples(outgoing),
        "operators.parquet": _file(("run", "cell", *_OPERATOR), list(_operators(outgoing))),
    }


def _arrow() -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise MissingPackageError(package="pyarrow", extra="exchange", purpose="writing Parquet") from error
    return pa


def _file(names: tuple[str, ...], rows: list[Row]) -> bytes:
    pa = _arrow()
    listed = {name: [row.get(name) for row in rows] for name in names}
    return _stored(pa.table({name: pa.array(values, type=_type(pa, name)) for name, values in listed.items()}))


def _stored(table: Any) -> bytes:
    from pyarrow import parquet

    data = io.BytesIO()
    parquet.write_table(table, data, compression="zstd")
    return data.getvalue()


def _type(pa: Any, name: str) -> Any:
    """One type per column whatever it holds, so that tables of several runs can be joined."""
    if name in _TEXTS:
        return pa.string()
    if name in _FLAGS:
        return pa.bool_()
    return pa.int64() if name in _WHOLE or name.endswith("_bytes") else pa.float64()


def _cells_of(outgoing: Outgoing) -> Iterator[tuple[CellView, Row]]:
    for view in outgoing.views:
        yield view, {"run": outgoing.head.id, "cell": view.cell.key}


def _launches(outgoing: Outgoing) -> Iterator[Row]:
    for view, row in _cells_of(outgoing):
        for launch in view.measurement.launches if view.measurement else ():
            yield {**row, **{name: getattr(launch, name) for name in _LAUNCH}, "tainted": " ".join(launch.tainted)}


def _samples(outgoing: Outgoing) -> bytes:
    """Every call. A run may have millions, so a launch is a few arrays and its names are stored once."""
    pa = _arrow()
    schema = pa.schema(
        [("run", pa.string()), ("cell", pa.string()), ("launch", pa.int64()), ("call", pa.int64())]
        + [("latency_ns", pa.int64())]
    )
    batches = [
        pa.table(
            [
                pa.repeat(outgoing.head.id, len(calls)),
                pa.repeat(view.cell.key, len(calls)),
                pa.repeat(pa.scalar(launch, pa.int64()), len(calls)),
                pa.array(range(len(calls)), pa.int64()),
                pa.array(calls, pa.int64()),
            ],
            schema=schema,
        )
        for view in outgoing.views
        for launch, calls in enumerate(outgoing.calls(view))
    ]
    return _stored(pa.concat_tables(batches) if batches else schema.empty_table())


def _operators(outgoing: Outgoing) -> Iterator[Row]:
    for view, row in _cells_of(outgoing):
        profile = view.measurement.operators if view.measurement else None
        for operator in profile.operators if profile else ():
            yield {**row, **{name: getattr(operator, name) for name in _OPERATOR}}
