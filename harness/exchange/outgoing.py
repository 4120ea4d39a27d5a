"""What an exporter is given, and the words and figures that several of them need."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from harness.exchange.definitions import MEANS
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus, LaunchSummary, Measurement
from harness.records.metric import Metric, Reading
from harness.records.metrics import METRICS
from harness.records.origin import StatedFigure, StatedName
from harness.records.stated_metrics import stated_figure
from harness.report.view import CellView, cell_views
from harness.store.records import RunHead, RunRecord
from harness.wire import Delegate

MS, US, SECOND, MB, KIB = 1e6, 1e3, 1e9, 1e6, 1024.0

# The content of each file by its path below the folder that is written; a single file needs no folder.
Files = dict[str, bytes]
Samples = Callable[[Measurement], dict[int, list[int]]]

_PLATFORMS = ("android", "ios", "macos", "windows", "linux")
# What other programs call the kind of processor.
ACCELERATORS: dict[Delegate, str] = {
    Delegate.CPU: "cpu",
    Delegate.XNNPACK: "cpu",
    Delegate.GPU: "gpu",
    Delegate.NNAPI: "npu",
    Delegate.COREML: "npu",
    Delegate.QNN: "npu",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A run on its way out: its cells, and the steady calls of each launch of a measurement, by its index, in ns."""

    run: RunRecord
    views: tuple[CellView, ...]
    samples: Samples

    @property
    def head(self) -> RunHead:
        """What was asked for, and on what."""
        return self.run.head

    @property
    def ok(self) -> tuple[CellView, ...]:
        """The cells that have results."""
        return tuple(view for view in self.views if view.status is CellStatus.OK)

    def device(self, view: CellView) -> DeviceInfo | None:
        """The device of a cell, None if the run stopped before it knew."""
        return next((device for device in self.head.devices if device.key == view.cell.device), None)

    def launches(self, view: CellView) -> list[LaunchSummary]:
        """The launches that the figures of a cell were computed from: the good ones, or all if none is."""
        listed = list(view.measurement.launches) if view.measurement else []
        return [launch for launch in listed if not launch.tainted] or listed

    def calls(self, view: CellView) -> list[list[int]]:
        """The steady calls of each of `launches`; empty if a runner reported only a summary, or a reply is lost."""
        if view.measurement is None:
            return []
        stored, launches = self.samples(view.measurement), self.launches(view)
        found = [stored[launch.index] for launch in launches if launch.index in stored]
        return found if len(found) == len(launches) else []

    def recipe(self, view: CellView) -> str:
        """The recipe of a cell as JSON; of an imported cell, where it came from."""
        origin = view.measurement.origin if view.measurement else None
        recipe = origin or self.head.spec.recipes().get(view.cell.variant)
        return msgspec.json.encode(recipe).decode() if recipe is not None else "{}"

    @property
    def started_s(self) -> float:
        """The start of the run, in seconds since 1970."""
        return datetime.fromisoformat(self.head.created_at).timestamp()


def outgoing_of(run: RunRecord, samples: Samples, *, cells: str = "") -> Outgoing:
    """Return the cells of ``run`` whose key contains ``cells``."""
    views = tuple(view for view in cell_views(run) if cells in view.cell.key)
    return Outgoing(run=run, views=views, samples=samples)


def readings(view: CellView) -> Iterator[tuple[Metric, Reading]]:
    """Yield the metrics that a cell has, in the order of the table."""
    for metric in METRICS.values():
        reading = metric.shown(view.measurement)
        if reading is not None:
            yield metric, reading


def json_file(value: object) -> bytes:
    """Return ``value`` as readable JSON. Raises `ValueError` for a number that is not finite, which JSON lacks."""
    return (json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode("utf-8", "replace")


def json_lines(values: Sequence[object]) -> bytes:
    """Return one line of JSON per value."""
    lines = (json.dumps(value, ensure_ascii=False, allow_nan=False) for value in values)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def said(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that are known."""
    return {key: value for key, value in values.items() if value is not None}


def scaled(value: float | None, unit: float) -> float | None:
    """Return ``value`` in ``unit``, or None. Fifteen digits are kept, so that 12.5 ms stay 12.5."""
    return None if value is None else float(f"{value / unit:.15g}")


def safe_name(text: str) -> str:
    """Return a file name that any system takes and that no other text gives."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80]
    return f"{words}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}".lstrip("-")


def per_cell(views: Sequence[CellView], suffix: str, content: Callable[[CellView], bytes]) -> Files:
    """Return a file per cell."""
    return {safe_name(view.cell.key) + suffix: content(view) for view in views}


def delegate_used(view: CellView) -> str:
    """What the runtime says that ran, else what was asked for."""
    return view.runtime.delegate_used if view.runtime else view.cell.delegate.value


def platform_of(device: DeviceInfo | None) -> str | None:
    """The operating system of a device in lower case, None if nothing says it."""
    words = f"{device.kind} {device.os}".lower() if device else ""
    return next((platform for platform in _PLATFORMS if platform in words), None)


def deviation(view: CellView) -> float | None:
    """The standard deviation of the calls in ns."""
    latency = view.latency
    if latency is None or latency.variation is None or latency.mean_ns is None:
        return None
    return latency.variation * latency.mean_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimes:
    """The calls of a cell in a few figures, in ns: None for what is not known. ``count`` counts them."""

    median: float | None = None
    mean: float | None = None
    least: float | None = None
    most: float | None = None
    deviation: float | None = None
    count: int | None = None


def stated_mean(view: CellView) -> StatedFigure | None:
    """Return the mean of all calls that the program of an imported cell states; None for an estimate and the like."""
    figure = stated_figure(view.measurement, StatedName.LATENCY)
    return figure if figure is not None and figure.definition in MEANS else None


def call_times(outgoing: Outgoing, view: CellView) -> CallTimes:
    """Return the figures of the calls: ours, or those that the program of an imported cell states of them."""
    latency, mean = view.latency, stated_mean(view)
    if latency is not None:
        calls = [call for launch in outgoing.calls(view) for call in launch]
        return CallTimes(
            median=latency.median_ns,
            mean=latency.mean_ns,
            least=latency.min_ns,
            most=max(calls) if calls else latency.max_ns,
            deviation=deviation(view),
            count=latency.calls,
        )
    if mean is None:
        return CallTimes()
    return CallTimes(mean=mean.value, least=mean.least, most=mean.most, deviation=mean.deviation, count=mean.calls)


def quantile(values: Sequence[float], percent: float) -> float:
    """Return a percentile by linear interpolation between order statistics; at least one value."""
    if len(values) == 1:
        return float(values[0])
    ordered, at = sorted(values), (len(values) - 1) * percent / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation, 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
