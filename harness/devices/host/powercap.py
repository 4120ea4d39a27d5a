"""The energy counters of the processor (RAPL), which Linux shows below /sys/class/powercap.

A zone is a counter in microjoules that wraps around at a range of its own. ``psys`` is the whole platform where there
is one; otherwise the packages are added up, each with its memory where that has a zone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.runners.host.energy import boot_ns
from harness.runners.host.readings import ROOT, read_text
from harness.wire import EnergyCounter, EnergyReading, EnergySource

_FOLDER = "sys/class/powercap"
_DEFINITION = (
    "the processor's own energy counters ({zones}; RAPL), read once a second: an estimate or a measurement of the "
    "processor, not of the whole computer, and not of a GPU card"
)


class Powercap:
    """The counters of this computer, looked for once. ``missing`` says why there are none, empty if there are."""

    def __init__(self, root: Path = ROOT, *, clock: Callable[[], int] = boot_ns) -> None:
        self._clock = clock
        self._zones = _zones(root)
        self.missing = _why_missing(root, self._zones)
        self._ranges = [_number(zone / "max_energy_range_uj") or 0 for zone in self._zones]
        self._last: list[int] = []
        self._wrapped = [0 for _ in self._zones]

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the zones."""
        return tuple(read_text(zone / "name") or zone.name for zone in self._zones)

    def reading(self) -> EnergyReading | None:
        """Read every zone now; None if one cannot be read, or without any."""
        values = [_number(zone / "energy_uj") for zone in self._zones]
        raw = [value for value in values if value is not None]
        if self.missing or len(raw) < len(values):
            return None
        for index, before in enumerate(self._last):
            # Only a counter near the end of its range wraps; any other fall is left for the reader of the series.
            if raw[index] < before and before > self._ranges[index] // 2:
                self._wrapped[index] += self._ranges[index]
        self._last = raw
        totals = tuple(value + wrapped for value, wrapped in zip(raw, self._wrapped, strict=True))
        return EnergyReading(at_ns=self._clock(), microjoules=totals)

    def counter(self, readings: list[EnergyReading]) -> EnergyCounter:
        """Return the record of a launch."""
        return EnergyCounter(
            source=EnergySource.PROCESSOR,
            definition=_DEFINITION.format(zones=", ".join(self.channels)),
            channels=self.channels,
            readings=tuple(readings),
            reason=self.missing,
        )


def _zones(root: Path) -> list[Path]:
    """The zones to add up. Cores and graphics are parts of their package, so they are left out."""
    zones = sorted(path for path in (root / _FOLDER).glob("intel-rapl:*") if (path / "energy_uj").exists())
    platform = [zone for zone in zones if read_text(zone / "name") == "psys"]
    named = [zone for zone in zones if (read_text(zone / "name") or "").startswith(("package", "dram"))]
    return platform[:1] or named


def _why_missing(root: Path, zones: list[Path]) -> str:
    if not zones:
        return f"this computer shows no processor counter below {root / _FOLDER}, as in most virtual machines"
    for zone in zones:
        if _number(zone / "energy_uj") is None:
            return (
                f"{str(zone / 'energy_uj')!r} cannot be read: run phonebench as root, or allow it with "
                f"'sudo chmod a+r {_FOLDER_OF_ZONES}'"
            )
    return ""


_FOLDER_OF_ZONES = "/sys/class/powercap/intel-rapl:*/energy_uj"


def _number(path: Path) -> int | None:
    text = read_text(path)
    return int(text) if text and text.isdecimal() else None
