"""Conditions: facts that make a figure less trustworthy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConditionId(StrEnum):
    """The kinds of conditions; what each means for a figure is worded in the report."""

    THERMAL = "THERMAL"
    LOW_BATTERY = "LOW-BATTERY"
    LOW_POWER_MODE = "LOW-POWER-MODE"
    DEBUGGABLE = "DEBUGGABLE"
    SHELL = "SHELL"
    EMULATOR = "EMULATOR"
    SHARED_HOST = "SHARED-HOST"
    BUSY_HOST = "BUSY-HOST"
    DESKTOP_CPU = "DESKTOP-CPU"
    FALLBACK = "FALLBACK"
    PARTIAL = "PARTIAL"
    PAGE_SIZE = "PAGE-SIZE"
    DEPRECATED = "DEPRECATED"
    SIMULATED = "SIMULATED"
    INDICATIVE = "INDICATIVE"
    UNSTEADY = "UNSTEADY"
    THROTTLED = "THROTTLED"
    TWO_SPEEDS = "TWO-SPEEDS"
    COARSE_CLOCK = "COARSE-CLOCK"
    CUT_SHORT = "CUT-SHORT"
    GATE_TIMEOUT = "GATE-TIMEOUT"
    RANDOM_WEIGHTS = "RANDOM-WEIGHTS"
    RANDOM_INPUTS = "RANDOM-INPUTS"
    RANDOM_CALIBRATION = "RANDOM-CALIBRATION"
    DATA_FREE = "DATA-FREE"
    NOT_FINE_TUNED = "NOT-FINE-TUNED"
    UNVERIFIED = "UNVERIFIED"
    UNSCORED = "UNSCORED"
    INPUTS_DIFFER = "INPUTS-DIFFER"
    NOT_COMPARED = "NOT-COMPARED"
    CONSTANT_OUTPUT = "CONSTANT-OUTPUT"
    NON_FINITE = "NON-FINITE"
    TRACED = "TRACED"
    HOST_KERNEL = "HOST-KERNEL"
    PARTLY_QUANTISED = "PARTLY-QUANTISED"
    IMPORTED = "IMPORTED"
    STORED_TWICE = "STORED-TWICE"
    LARGER = "LARGER"
    FED_STATE = "FED-STATE"
    SOFTWARE_GPU = "SOFTWARE-GPU"
    UNDER_VOLTAGE = "UNDER-VOLTAGE"
    WATCH_LOAD = "WATCH-LOAD"
    NO_ENERGY = "NO-ENERGY"
    CLOUD = "CLOUD"


class FigureGroup(StrEnum):
    """Groups of figures; a condition makes all figures of a group less trustworthy, or none."""

    LATENCY = "latency"
    LOAD = "load"
    MEMORY = "memory"
    ACCURACY = "accuracy"
    FIDELITY = "fidelity"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of one cell, in words."""

    id: ConditionId
    summary: str
    detail: str = ""
