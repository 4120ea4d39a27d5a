"""OpenMetrics text: a gauge per metric, its interval and its p90, in base units, with the cell as labels."""

from __future__ import annotations

from collections.abc import Iterator

from harness.exchange.outgoing import Files, Outgoing, delegate_used, readings
from harness.records.measurement import CellStatus
from harness.records.metric import Metric
from harness.report.view import CellView

_UNITS = {"ns": ("seconds", 1e9), "bytes": ("bytes", 1.0), "1": ("ratio", 1.0), "1/s": ("per_second", 1.0)}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

Rows = list[tuple[CellView, float]]


def text(outgoing: Outgoing) -> Files:
    """Return the exposition of all cells; cells without results have only their state."""
    families: dict[str, tuple[str, str, Rows]] = {"phonebench_cell_ok": ("", "1 if the cell has results, else 0", [])}
    for view in outgoing.views:
        families["phonebench_cell_ok"][2].append((view, float(view.status is CellStatus.OK)))
        for name, unit, words, value in _figures(view):
            families.setdefault(name, (unit, words, []))[2].append((view, value))
    lines = [line for name, family in families.items() for line in _family(outgoing, name, family)]
    return {"metrics.txt": "".join(f"{line}\n" for line in [*lines, "# EOF"]).encode("utf-8", "replace")}


def _figures(view: CellView) -> Iterator[tuple[str, str, str, float]]:
    if view.status is not CellStatus.OK:
        return
    for metric, reading in readings(view):
        unit, size = _UNITS.get(metric.unit, ("", 1.0))
        for part, value in (("", reading.value), ("low", reading.low), ("high", reading.high), ("p90", reading.p90)):
            if value is not None:
                yield _name(metric, part, unit), unit, _words(metric, part), value / size


def _name(metric: Metric, part: str, unit: str) -> str:
    return "_".join(filter(None, ("phonebench", metric.name, part, unit)))


def _words(metric: Metric, part: str) -> str:
    parts = {"": "", "low": ", lower end of the 95 % interval", "high": ", upper end of the 95 % interval"}
    return f"{metric.label}{parts.get(part, f', {part} of the calls')}"


def _family(outgoing: Outgoing, name: str, family: tuple[str, str, Rows]) -> Iterator[str]:
    unit, words, rows = family
    yield f"# TYPE {name} gauge"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {words}"
    for view, value in rows:
        yield f"{name}{{{_labels(outgoing, view)}}} {value!r}"


def _labels(outgoing: Outgoing, view: CellView) -> str:
    cell = view.cell
    labels = {
        "run": outgoing.head.id,
        "cell": cell.key,
        "model": cell.model,
        "variant": cell.variant,
        "format": cell.format.value,
        "delegate": delegate_used(view),
        "threads": "" if cell.threads is None else str(cell.threads),
        "device": cell.device,
        "profile": cell.profile.value,
    }
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
