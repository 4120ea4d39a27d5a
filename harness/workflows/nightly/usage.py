"""What a night cost: device-minutes, how long cells waited for their device, and how busy each device was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from harness.records.measurement import Measurement
from harness.store.records import RunRecord
from harness.workflows.nightly.record import Compared, DeviceUsage

# Start and end, in seconds since the epoch.
Span = tuple[float, float]


def usage_of(runs: Sequence[RunRecord], compared: Sequence[Compared]) -> tuple[DeviceUsage, ...]:
    """Return what the ``runs`` of a night and its comparisons cost, one record per device, sorted by its key.

    A cell that never reached its device costs nothing. A night that was stopped and resumed is active while it ran.
    """
    cells = [(device, m, begun) for run in runs for device, m, begun in _cells(run)]
    sessions = [(one.device, (_seconds(one.started_at), _seconds(one.ended_at))) for one in compared]
    spans = [(device, _span(m)) for device, m, _ in cells] + sessions
    active_s = _covered(span for _, span in spans)
    return tuple(
        DeviceUsage(
            device=device,
            cells=sum(key == device for key, _, _ in cells),
            # One device never does two things at once, but clocks may be set back by a moment.
            busy_s=_covered(span for key, span in spans if key == device),
            cooling_s=sum(_cooling_s(m) for key, m, _ in cells if key == device),
            queued_s=_mean([_span(m)[0] - begun for key, m, begun in cells if key == device]),
            active_s=active_s,
        )
        for device in sorted({device for device, _ in spans})
    )


def _cells(run: RunRecord) -> list[tuple[str, Measurement, float]]:
    """Each measurement that had its device, with the device and the time when the first cell of the run began."""
    devices = {cell.key: cell.device for cell in run.head.plan.cells}
    tried = [m for m in run.measurements if m.cell in devices and _span(m)[1] > _span(m)[0]]
    begun = min((_span(m)[0] for m in tried), default=0.0)
    return [(devices[m.cell], m, begun) for m in tried]


def _cooling_s(measurement: Measurement) -> float:
    return sum(launch.gate.waited_s for launch in measurement.launches if launch.gate is not None)


def _span(measurement: Measurement) -> Span:
    return _seconds(measurement.started_at), _seconds(measurement.ended_at)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _covered(spans: Iterable[Span]) -> float:
    """How many seconds lie in at least one of ``spans``."""
    covered, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
