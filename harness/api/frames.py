"""A stored run as pandas frames. The unit of a column is the end of its name; what was not measured is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import MissingPackageError
from harness.records.measurement import GateFacts, LaunchSummary, Measurement
from harness.report.formats.csv import cell_rows, columns
from harness.store.reader import read_reply
from harness.store.records import RunRecord
from harness.wire import LatencySamples

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

LAUNCH_COLUMNS = (
    "key", "launch", "retry", "tainted", "median_ns", "calls", "first_ns", "load_ns", "steady_state",
    "memory_growth_bytes", "thermal_headroom", "gate", "waited_s", "hottest_before_c", "hottest_after_c",
    "reply_sha256",
)  # fmt: skip
SAMPLE_COLUMNS = ("key", "launch", "call", "phase", "steady", "latency_ns", "start_ns")
OPERATOR_COLUMNS = (
    "key", "position", "name", "kind", "nodes", "calls", "total_ns", "mean_ns", "share", "ran_on", "delegated",
    "reason",
)  # fmt: skip


def cells_frame(run: RunRecord) -> pd.DataFrame:
    """Return one row per cell, holes and cells not yet run included, with the columns of ``table.csv``."""
    return _frame(cell_rows(run), columns())


def launches_frame(run: RunRecord) -> pd.DataFrame:
    """Return one row per launch of the runner.

    ``tainted`` says why a launch is left out of the figures, unless all are; it is empty for a good one.
    """
    rows = (_launch_row(m, launch) for m in run.measurements for launch in m.launches)
    return _frame(rows, LAUNCH_COLUMNS)


def samples_frame(run: RunRecord) -> pd.DataFrame:
    """Return one row per timed call: call 0, the warm-up, then the measured calls of each launch.

    ``phase`` is ``first``, ``warmup`` or ``measured``; ``steady`` marks the calls that the figures come from.
    ``start_ns`` is when a measured call began, relative to the first of them, where the runner reported it. Launches of
    programs that report no single calls have no rows. Raises `StoreError` if a stored reply is damaged.
    """
    import numpy as np

    pandas = need_pandas()
    parts = list(_samples(run))
    if not parts:
        return pandas.DataFrame({name: [] for name in SAMPLE_COLUMNS})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in SAMPLE_COLUMNS if name != "key"}
    keys = [key for key in dict.fromkeys(m.cell for m in run.measurements)]
    codes = np.concatenate([part["key"] for part in parts])
    frame = pandas.DataFrame({"key": pandas.Categorical.from_codes(codes, categories=keys), **joined})
    frame["phase"] = frame["phase"].astype("category")
    return frame


def operators_frame(run: RunRecord) -> pd.DataFrame:
    """Return one row per operator of the cells whose operators were profiled, in the order in which they ran.

    ``share`` is the share of the time of all operators, 0…1.
    """
    return _frame((row for m in run.measurements for row in _operator_rows(m)), OPERATOR_COLUMNS)


def _frame(rows: Iterable[dict[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    return need_pandas().DataFrame(list(rows), columns=list(names))


def need_pandas() -> Any:
    """Return the module pandas. Raises `MissingPackageError`."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingPackageError(package="pandas", extra="notebook", purpose="reading a run as frames") from error
    return pandas


def _launch_row(measurement: Measurement, launch: LaunchSummary) -> dict[str, Any]:
    return {
        "key": measurement.cell,
        "launch": launch.index,
        "retry": launch.retry,
        "tainted": "; ".join(launch.tainted),
        "median_ns": launch.median_ns,
        "calls": launch.calls,
        "first_ns": launch.first_ns,
        "load_ns": launch.load_ns,
        "steady_state": launch.steady_state,
        "memory_growth_bytes": launch.memory_growth_bytes,
        "thermal_headroom": launch.thermal_headroom,
        **_gate_row(launch.gate),
        "reply_sha256": launch.reply_sha256,
    }


def _gate_row(gate: GateFacts | None) -> dict[str, Any]:
    if gate is None:
        return {}
    return {
        "gate": gate.outcome.value,
        "waited_s": gate.waited_s,
        "hottest_before_c": gate.before.hottest_c if gate.before else None,
        "hottest_after_c": gate.after.hottest_c if gate.after else None,
    }


def _samples(run: RunRecord) -> Iterator[dict[str, NDArray[np.generic]]]:
    codes = {key: code for code, key in enumerate(dict.fromkeys(m.cell for m in run.measurements))}
    for measurement in run.measurements:
        # Of a launch whose calls are not known, nothing was stored.
        for launch in (launch for launch in measurement.launches if launch.reply_sha256):
            latency = read_reply(run, launch.reply_sha256).latency
            if latency is not None and latency.samples_ns:
                yield _sample_columns(codes[measurement.cell], launch, latency)


def _sample_columns(code: int, launch: LaunchSummary, latency: LatencySamples) -> dict[str, NDArray[np.generic]]:
    import numpy as np

    first = () if latency.first_ns is None else (latency.first_ns,)
    counts = len(first), len(latency.warmup_ns), len(latency.samples_ns)
    count = sum(counts)
    starts = np.full(count, np.nan)
    if latency.at_ns:
        starts[count - len(latency.samples_ns) :] = latency.at_ns
    return {
        "key": np.full(count, code),
        "launch": np.full(count, launch.index),
        "call": np.arange(count),
        "phase": np.repeat(["first", "warmup", "measured"], counts),
        # The steady calls are the last ones; those before them warmed up.
        "steady": np.arange(count) >= count - (launch.calls or 0),
        "latency_ns": np.array([*first, *latency.warmup_ns, *latency.samples_ns], dtype=np.int64),
        "start_ns": starts,
    }


def _operator_rows(measurement: Measurement) -> Iterator[dict[str, Any]]:
    profile = measurement.operators
    for position, operator in enumerate(profile.operators if profile else ()):
        yield {
            "key": measurement.cell,
            "position": position,
            "name": operator.name,
            "kind": operator.kind,
            "nodes": operator.nodes,
            "calls": operator.calls,
            "total_ns": operator.total_ns,
            "mean_ns": operator.mean_ns,
            "share": profile.share(operator) if profile else None,
            "ran_on": operator.ran_on,
            "delegated": operator.delegated,
            "reason": operator.reason,
        }
