"""The metric table: name, unit, which way is better, and how much change is noise.

Names carry no units; the unit stands in the table. The tolerances are the protocol's (``docs/measurement.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Polarity(StrEnum):
    """Which way a metric improves."""

    LOWER = "lower is better"
    HIGHER = "higher is better"


class Metric(StrEnum):
    """What is compared and ranked."""

    LATENCY = "latency"
    LOAD_TIME = "load_time"
    PEAK_MEMORY = "peak_memory"
    SIZE = "size"
    ACCURACY = "accuracy"
    SCORE = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """Unit on the wire, polarity, and the change that matters: relative, or absolute in that unit."""

    unit: str
    polarity: Polarity
    relative_tolerance: float
    absolute_tolerance: float = 0.0


MIB = 1 << 20

METRICS: dict[Metric, MetricFacts] = {
    Metric.LATENCY: MetricFacts(unit="ns", polarity=Polarity.LOWER, relative_tolerance=0.03),
    Metric.LOAD_TIME: MetricFacts(unit="ns", polarity=Polarity.LOWER, relative_tolerance=0.05),
    Metric.PEAK_MEMORY: MetricFacts(
        unit="bytes", polarity=Polarity.LOWER, relative_tolerance=0.01, absolute_tolerance=MIB
    ),
    Metric.SIZE: MetricFacts(unit="bytes", polarity=Polarity.LOWER, relative_tolerance=0.001),
    Metric.ACCURACY: MetricFacts(unit="1", polarity=Polarity.HIGHER, relative_tolerance=0.0, absolute_tolerance=0.01),
    # The metric that a model's folder names, in its own unit.
    Metric.SCORE: MetricFacts(unit="1", polarity=Polarity.HIGHER, relative_tolerance=0.01),
}
