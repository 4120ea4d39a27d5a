"""Turns a stored run into the entries that the history adds: one per cell and metric.

Metrics that were not measured have no entry. A cell that failed on its device has an entry without a value in its
headline series, so that the gap has a reason. A cell that was never possible leaves no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from harness.errors import UsageError
from harness.history.records import (
    TAINTED,
    Environment,
    Figures,
    HistoryEntry,
    NightStatus,
    RunFacts,
    Series,
    series_name,
    system_build,
)
from harness.plan.cells import Cell
from harness.records.conditions import ConditionId, FigureGroup
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus, Measurement
from harness.records.metric import Metric
from harness.records.metrics import HEADLINE, METRICS
from harness.spec.profiles import ProfileName
from harness.store.records import RunRecord

# Hexadecimal digits, 64 bits: enough that no two devices collide.
SERIAL_HASH_LENGTH = 16
NOT_KNOWN = ""
# What a device that throttles measures wrong; its outputs and its memory are the same.
_TIMES = (FigureGroup.LATENCY, FigureGroup.LOAD)

_STATUS = {
    CellStatus.OK: NightStatus.OK,
    CellStatus.BROKEN: NightStatus.BROKEN,
    CellStatus.FAILED: NightStatus.FAILED,
}


def run_facts(run: RunRecord) -> RunFacts:
    """Return what the history stores about ``run`` as a whole."""
    return RunFacts(
        name=run.head.id,
        night=run.head.created_at[:10],
        created_at=run.head.created_at,
        finished_at=run.head.finished_at,
        commit=run.head.commit,
        versions=run.head.versions,
    )


def entries_of(run: RunRecord) -> tuple[HistoryEntry, ...]:
    """Return the entries of ``run`` in the order of its plan. Raises `UsageError` for imported results and clouds'."""
    _refuse_imported(run)
    _refuse_cloud(run)
    measured = {m.cell: m for m in run.measurements}
    entries: list[HistoryEntry] = []
    for cell in run.head.plan.cells:
        measurement = measured.get(cell.key)
        if measurement is not None and measurement.status in _STATUS:
            entries.extend(_entries(run, cell, measurement))
    return tuple(entries)


def _refuse_imported(run: RunRecord) -> None:
    """A night of another program is no night: what it does not say would be guessed, and every verdict with it."""
    if any(cell.profile is ProfileName.IMPORTED for cell in run.head.plan.cells):
        msg = f"run {run.head.id!r} was imported from another program; the history takes only runs of phonebench"
        raise UsageError(msg)


def _refuse_cloud(run: RunRecord) -> None:
    """A cloud gives another phone each time, so its nights would be a series of several devices."""
    if any(c.id is ConditionId.CLOUD for m in run.measurements for c in m.conditions):
        msg = f"run {run.head.id!r} was measured in a cloud, whose phone is another one each time; it enters no history"
        raise UsageError(msg)


def make_series(cell: Cell, metric: Metric) -> Series:
    """Return the series of one metric of one cell."""
    return Series(
        name=series_name(cell, metric),
        cell=cell.key,
        model=cell.model,
        variant=cell.variant,
        format=cell.format.value,
        delegate=cell.delegate.value,
        threads=cell.threads or 1,
        device=cell.device,
        profile=cell.profile.value,
        metric=metric.name,
        unit=metric.unit,
        polarity=metric.polarity.value,
    )


def serial_hash(device: str) -> str:
    """Return a digest of a device's key, so that a history can be shared without serial numbers."""
    return hashlib.sha256(device.encode()).hexdigest()[:SERIAL_HASH_LENGTH]


def _entries(run: RunRecord, cell: Cell, measurement: Measurement) -> Iterator[HistoryEntry]:
    status = _STATUS[measurement.status]
    figures = _figures(measurement) if status is NightStatus.OK else {HEADLINE.name: None}
    environment = _environment(run, cell, measurement)
    conditions = tuple(condition.id.value for condition in measurement.conditions)
    spoilt = (*conditions, TAINTED) if _is_tainted(measurement) else conditions
    for metric, values in figures.items():
        yield HistoryEntry(
            series=make_series(cell, METRICS[metric]),
            status=status,
            figures=values,
            environment=environment,
            artifact_sha256=measurement.artifact.identity if measurement.artifact else NOT_KNOWN,
            artifact_kind=cell.format.value,
            conditions=spoilt if METRICS[metric].group in _TIMES else conditions,
        )


def _figures(measurement: Measurement) -> dict[str, Figures | None]:
    """The metrics that were measured, by name."""
    return {
        name: Figures(**{field: getattr(reading, field) for field in Figures.__slots__})
        for name, metric in METRICS.items()
        if (reading := metric.shown(measurement)) is not None
    }


def _is_tainted(measurement: Measurement) -> bool:
    """Whether most launches throttled, did not settle or were disturbed, so that the times are not the artifact's."""
    spoilt = sum(bool(launch.tainted) for launch in measurement.launches)
    none_good = measurement.latency is not None and measurement.latency.tainted
    return none_good or 2 * spoilt > len(measurement.launches)


def _environment(run: RunRecord, cell: Cell, measurement: Measurement) -> Environment:
    device = next((d for d in run.head.devices if d.key == cell.device), None) or _unknown_device(cell)
    runtime = measurement.runtime
    data = next((m.data_sha256 for m in run.head.models if m.name == cell.model), None)
    return Environment(
        serial_hash=serial_hash(device.key),
        device_class=device.model,
        soc=device.cpu,
        os_build=system_build(device.os, device.os_build),
        runtime=runtime.name if runtime else NOT_KNOWN,
        runtime_version=runtime.version if runtime else NOT_KNOWN,
        delegate_used=runtime.delegate_used if runtime else NOT_KNOWN,
        runner=measurement.runner.kind if measurement.runner else NOT_KNOWN,
        data_sha256=data or NOT_KNOWN,
    )


def _unknown_device(cell: Cell) -> DeviceInfo:
    return DeviceInfo(
        key=cell.device,
        kind=NOT_KNOWN,
        model=NOT_KNOWN,
        os=NOT_KNOWN,
        cpu=NOT_KNOWN,
        cores=0,
        memory_bytes=0,
        abi=NOT_KNOWN,
    )
