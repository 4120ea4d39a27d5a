"""Numbers for people: times in µs, ms or s, sizes in kB and MiB, shares in per cent.

Everywhere else in phonebench times are nanoseconds and sizes bytes. A column of a table has one unit, chosen from the
values in it, so that its figures can be compared by eye.

A `ValueFormatter` writes the values of a metric; each row of `harness.records.metrics` names one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from harness.stats.medians import median

NONE = "–"
MIB = 1 << 20
THIN_SPACE = "\u202f"


def nights(count: int) -> str:
    """Return ``count`` nights in words: ``1 night``, ``20 nights``."""
    return "1 night" if count == 1 else f"{count} nights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit to show values in: ``name`` and how many base units (ns, bytes) it holds.

    ``digits``: decimal places; None for three significant digits.
    """

    name: str
    size: float
    digits: int | None = None

    def show(self, value: float | None) -> str:
        """Return ``value`` (base units) in this unit, without the unit's name."""
        if value is None:
            return NONE
        scaled = value / self.size
        return significant(scaled) if self.digits is None else f"{scaled:.{self.digits}f}"

    def full(self, value: float | None) -> str:
        """Return ``value`` with the unit's name."""
        return NONE if value is None else f"{self.show(value)} {self.name}".rstrip()


NANOSECONDS = Unit(name="ns", size=1)
MICROSECONDS = Unit(name="µs", size=1e3)
MILLISECONDS = Unit(name="ms", size=1e6)
SECONDS = Unit(name="s", size=1e9)
MICROJOULES = Unit(name="µJ", size=1e-6)
MILLIJOULES = Unit(name="mJ", size=1e-3)
JOULES = Unit(name="J", size=1)
KILOBYTES = Unit(name="kB", size=1e3)
MEBIBYTES = Unit(name="MiB", size=MIB)
GIBIBYTES = Unit(name="GiB", size=1024 * MIB)
PERCENT = Unit(name="%", size=0.01, digits=1)
PLAIN = Unit(name="", size=1)


class ValueFormatter(Protocol):
    """How the values of a metric are written for people; ``value`` is always in the metric's own unit."""

    @property
    def sign(self) -> str:
        """The sign before the unit in a heading: ``+`` for values that are a growth, else nothing."""

    def unit_for(self, values: Iterable[float | None]) -> Unit:
        """Return the one unit that suits all of ``values``: for a column or an axis."""

    def text(self, value: float | None) -> str:
        """Return one value in the unit that suits it."""

    def exact(self, value: float) -> str:
        """Return one value with the digits that a comparison needs, in a unit that does not depend on it."""

    def difference(self, value: float) -> str:
        """Return a signed difference of two values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFormatter:
    """Nanoseconds as µs, ms or s."""

    sign: str = ""

    def unit_for(self, values: Iterable[float | None]) -> Unit:
        """Return the unit in which the median of ``values`` is at least 1."""
        return time_unit(values)

    def text(self, value: float | None) -> str:
        """Return one time in the unit that suits it."""
        return time(value)

    def exact(self, value: float) -> str:
        """Return milliseconds with four significant digits."""
        return f"{value / MILLISECONDS.size:.4g} ms"

    def difference(self, value: float) -> str:
        """Return signed milliseconds."""
        return f"{value / MILLISECONDS.size:+.4g} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFormatter:
    """Joules as µJ, mJ or J."""

    sign: str = ""

    def unit_for(self, values: Iterable[float | None]) -> Unit:
        """Return the unit in which the median of ``values`` is at least 1."""
        present = [v for v in values if v is not None]
        middle = median(present) if present else 0.0
        return next((unit for unit in (JOULES, MILLIJOULES) if middle >= unit.size), MICROJOULES)

    def text(self, value: float | None) -> str:
        """Return one energy in the unit that suits it."""
        return self.unit_for([value]).full(value)

    def exact(self, value: float) -> str:
        """Return millijoules with four significant digits."""
        return f"{value / MILLIJOULES.size:.4g} mJ"

    def difference(self, value: float) -> str:
        """Return signed millijoules."""
        return f"{value / MILLIJOULES.size:+.4g} mJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSizeFormatter:
    """Bytes as kB, MiB or GiB; exact sizes byte by byte, because a file's size has no noise."""

    sign: str = ""

    def unit_for(self, values: Iterable[float | None]) -> Unit:
        """Return the unit in which the median of ``values`` is at least 1."""
        return size_unit(values)

    def text(self, value: float | None) -> str:
        """Return one size in the unit that suits it."""
        return size(value)

    def exact(self, value: float) -> str:
        """Return whole bytes."""
        return f"{value:,.0f} B"

    def difference(self, value: float) -> str:
        """Return signed whole bytes."""
        return f"{value:+,.0f} B"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGrowthFormatter:
    """Bytes of memory on top of a baseline; the plus keeps them apart from what a process holds in all."""

    sign: str = "+"

    def unit_for(self, values: Iterable[float | None]) -> Unit:
        """Return the unit in which the median of ``values`` is at least 1."""
        return size_unit(values)

    def text(self, value: float | None) -> str:
        """Return one size in the unit that suits it."""
        return size(value)

    def exact(self, value: float) -> str:
        """Return MiB with two digits."""
        return f"+{value / MIB:.2f} MiB"

    def difference(self, value: float) -> str:
        """Return signed MiB."""
        return f"{value / MIB:+.2f} MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFormatter:
    """Shares (0…1) in per cent; their differences in percentage points."""

    sign: str = ""

    def unit_for(self, values: Iterable[float | None]) -> Unit:  # noqa: ARG002
        """Return per cent, whatever the values are."""
        return PERCENT

    def text(self, value: float | None) -> str:
        """Return per cent with one digit."""
        return percent(value)

    def exact(self, value: float) -> str:
        """Return per cent with two digits."""
        return f"{100 * value:.2f} %"

    def difference(self, value: float) -> str:
        """Return percentage points."""
        return f"{100 * value:+.2f} pts"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFormatter:
    """Numbers on a scale that phonebench does not know, or in the one unit ``name``."""

    name: str = ""
    sign: str = ""

    def unit_for(self, values: Iterable[float | None]) -> Unit:  # noqa: ARG002
        """Return the one unit."""
        return Unit(name=self.name, size=1)

    def text(self, value: float | None) -> str:
        """Return three significant digits."""
        return Unit(name=self.name, size=1).full(value)

    def exact(self, value: float) -> str:
        """Return four significant digits."""
        return f"{value:.4g} {self.name}".rstrip()

    def difference(self, value: float) -> str:
        """Return four significant digits with a sign."""
        return f"{value:+.4g} {self.name}".rstrip()


def time_unit(values_ns: Iterable[float | None]) -> Unit:
    """Return the unit in which the median of ``values_ns`` is at least 1."""
    present = [v for v in values_ns if v is not None]
    middle = median(present) if present else 0.0
    for unit in (SECONDS, MILLISECONDS):
        if middle >= unit.size:
            return unit
    return MICROSECONDS if middle >= MICROSECONDS.size or not present else NANOSECONDS


def size_unit(values_bytes: Iterable[float | None]) -> Unit:
    """Return GiB or MiB if the median of ``values_bytes`` is at least one of them, else kB (1000 bytes)."""
    present = [v for v in values_bytes if v is not None]
    middle = median(present) if present else 0.0
    for unit in (GIBIBYTES, MEBIBYTES):
        if middle >= unit.size:
            return unit
    return KILOBYTES


def time(value_ns: float | None) -> str:
    """Return one time in the unit that suits it."""
    return time_unit([value_ns]).full(value_ns)


def size(value_bytes: float | None) -> str:
    """Return one size in the unit that suits it."""
    return size_unit([value_bytes]).full(value_bytes)


def significant(value: float) -> str:
    """Return ``value`` with three significant digits and grouped thousands: 0.0123, 1.23, 12.3, 1 230, never 1.2e3."""
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
    """Return dB with one digit; ``exact`` at the cap (200 dB) that means equal outputs."""
    if value is None:
        return NONE
    return "exact" if value >= 200 else f"{value:.1f}"


def ratio(value: float | None) -> str:
    """Return a ratio to fp32: ``0.27×``."""
    return NONE if value is None else f"{value:.2f}×"


def stamp(iso: str | None) -> str:
    """Return an ISO 8601 UTC time as ``2026-11-23 01:42 UTC``."""
    return NONE if iso is None else f"{iso[:16].replace('T', ' ')} UTC"
