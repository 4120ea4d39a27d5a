"""How a phone is set while it is measured: its clocks, and the cores that the model may use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Clocks(StrEnum):
    """Who chooses the clocks: the system as for everybody, or Android's mode for benchmarks, bounded to what lasts."""

    DEFAULT = "default"
    FIXED = "fixed"


class Cores(StrEnum):
    """Which cores the model may use: all that the system offers, all but the slowest cluster, or the slowest alone."""

    ANY = "any"
    BIG = "big"
    LITTLE = "little"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """What was asked for; figures of unlike settings are not compared."""

    clocks: Clocks = Clocks.DEFAULT
    cores: Cores = Cores.ANY


AS_IT_IS = PhoneSettings()
