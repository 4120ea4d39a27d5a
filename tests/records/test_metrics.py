"""The rows of metrics are complete and do not collide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import StoreError
from harness.records.generation_metrics import ROWS as GENERATION
from harness.records.metric import ComparisonKind, ConfirmationKind, Metric
from harness.records.metrics import ENERGY, ERROR, METRICS, PEAK_MEMORY, TOKEN_ENERGY, metric_named
from harness.records.stated_metrics import ROWS as STATED
from harness.report.formats.csv import FIRST_COLUMNS
from tests.report.builders import cells, measurement

ROWS = pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
MEASURED = measurement(cells()[0], launches=5)


@ROWS
def test_a_metric_confirmed_by_launches_can_be_read_from_one(metric: Metric) -> None:
    by_launch = metric.confirmation in (ConfirmationKind.LAUNCHES, ConfirmationKind.MEDIANS)
    assert (metric.read_launch is not None) is by_launch


@ROWS
def test_a_reading_has_what_its_comparison_needs(metric: Metric) -> None:
    reading = metric.read(MEASURED)
    if reading is not None:
        assert bool(reading.launches) is (metric.comparison is ComparisonKind.LAUNCHES)
        assert bool(reading.correct_bits) is (metric.comparison is ComparisonKind.ANSWERS)


def test_no_two_metrics_share_a_column_or_a_json_key() -> None:
    columns = [column.name for metric in METRICS.values() for column in metric.csv]
    # A model's own metric has one direction, so its two rows never have a value at once.
    keys = [metric.json_key for metric in METRICS.values() if metric is not ERROR and metric not in STATED]
    assert len(set(columns)) == len(columns)
    assert len(set(keys)) == len(keys)
    # These came later, so they stand at the end.
    later = {c for c in columns if c.startswith("score")}
    later |= {"worst_group", "worst_group_drop", "inputs_lost", "inputs_won"}
    later |= {column.name for metric in (ENERGY, TOKEN_ENERGY, *GENERATION, *STATED) for column in metric.csv}
    assert set(columns) - later <= set(FIRST_COLUMNS)


def test_a_metric_of_a_later_version_is_named() -> None:
    with pytest.raises(StoreError, match=r"does not know the metric 'warmth'.*newer version"):
        metric_named("warmth")


def test_steady_memory_stands_in_for_an_unknown_peak_and_is_not_shown_as_one() -> None:
    assert MEASURED.memory is not None
    steady_only = replace(MEASURED, memory=replace(MEASURED.memory, peak_bytes=None))
    reading = PEAK_MEMORY.read(steady_only)
    assert reading is not None
    assert reading.value == (MEASURED.memory.steady_bytes or 0) - MEASURED.memory.baseline_bytes
    assert PEAK_MEMORY.shown(steady_only) is None
    assert PEAK_MEMORY.shown(MEASURED) is not None
