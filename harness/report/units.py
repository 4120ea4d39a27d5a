"""Numbers for people: times in µs, ms or s, sizes in kB and MiB, shares in per cent.

The one decision: one unit a column, chosen from the values in it, so that figures can be compared by eye. Everywhere
else in phonebench times are nanoseconds and sizes bytes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

NONE = "–"
MIB = 1 << 20
THIN_SPACE = "\u202f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit to show values in: ``name`` and how many base units (ns, bytes) it holds."""

    name: str
    size: float

    def show(self, value: float | None) -> str:
        """Return ``value`` (base units) in this unit, three significant digits, without the unit's name."""
        return NONE if value is None else significant(value / self.size)

    def full(self, value: float | None) -> str:
        """Return ``value`` with the unit's name."""
        return NONE if value is None else f"{self.show(value)} {self.name}".rstrip()


NANOSECONDS = Unit(name="ns", size=1)
MICROSECONDS = Unit(name="µs", size=1e3)
MILLISECONDS = Unit(name="ms", size=1e6)
SECONDS = Unit(name="s", size=1e9)
KILOBYTES = Unit(name="kB", size=1e3)
MEBIBYTES = Unit(name="MiB", size=MIB)
GIBIBYTES = Unit(name="GiB", size=1024 * MIB)
PERCENT = Unit(name="%", size=0.01)
PLAIN = Unit(name="", size=1)


def time_unit(values_ns: Iterable[float | None]) -> Unit:
    """Return the unit in which the median of ``values_ns`` is at least 1."""
    known = [v for v in values_ns if v is not None]
    middle = statistics.median(known) if known else 0.0
    for unit in (SECONDS, MILLISECONDS):
        if middle >= unit.size:
            return unit
    return MICROSECONDS if middle >= MICROSECONDS.size or not known else NANOSECONDS


def size_unit(values_bytes: Iterable[float | None]) -> Unit:
    """Return GiB or MiB when the median of ``values_bytes`` is at least one of it, else kB (1000 bytes)."""
    known = [v for v in values_bytes if v is not None]
    middle = statistics.median(known) if known else 0.0
    for unit in (GIBIBYTES, MEBIBYTES):
        if middle >= unit.size:
            return unit
    return KILOBYTES


def time(value_ns: float | None) -> str:
    """Return one time with the unit that fits it."""
    return time_unit([value_ns]).full(value_ns)


def size(value_bytes: float | None) -> str:
    """Return one size with the unit that fits it."""
    return size_unit([value_bytes]).full(value_bytes)


def significant(value: float) -> str:
    """Return ``value`` with three significant digits, thousands set apart: 0.0123, 1.23, 12.3, 1 230, never 1.2e3."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    # Rounding may carry into the next power of ten: 9.996 is 10.0, not 10.00.
    if digits and abs(round(value, digits)) >= 10 ** (3 - digits):
        digits -= 1
    return f"{value:,.{min(digits, 6)}f}".replace(",", THIN_SPACE)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share (0…1) in per cent."""
    return NONE if share is None else f"{100 * share:.{digits}f}{THIN_SPACE}%"


def decibels(value: float | None) -> str:
    """Return dB with one digit; the cap of equal outputs reads ``exact``."""
    if value is None:
        return NONE
    return "exact" if value >= 200 else f"{value:.1f}"


def ratio(value: float | None) -> str:
    """Return a ratio to fp32: ``0.27×``."""
    return NONE if value is None else f"{value:.2f}×"


def stamp(iso: str | None) -> str:
    """Return an ISO 8601 UTC time as ``2026-11-23 01:42 UTC``."""
    return NONE if iso is None else f"{iso[:16].replace('T', ' ')} UTC"
