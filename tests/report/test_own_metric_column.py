"""The column of a metric that the model's card names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.measurement import Measurement, TaskScores
from harness.report.columns import FigureColumn, figure_columns
from harness.report.view import cell_views
from tests.report.builders import cells, make_run, measurement

PLANNED = cells()[:2]


def scored(number: int, metric: str, *, higher_is_better: bool) -> Measurement:
    scores = TaskScores(
        metric=metric, value=0.25, low=None, high=None, count=9, scores=(), higher_is_better=higher_is_better
    )
    return replace(measurement(PLANNED[number]), accuracy=None, scores=scores)


def columns_of(*measured: Measurement) -> list[FigureColumn]:
    return list(figure_columns(cell_views(make_run(PLANNED, measured))))


@pytest.mark.parametrize(("metric", "higher_is_better"), [("mIoU", True), ("WER", False)])
def test_a_models_own_metric_has_a_column_where_it_was_measured(metric: str, higher_is_better: bool) -> None:
    own = columns_of(*(scored(number, metric, higher_is_better=higher_is_better) for number in range(2)))
    plain = columns_of(*map(measurement, PLANNED))
    (column,) = [c for c in own if metric in c.heading]
    assert len(own) == len(plain) + 1
    assert column.heading not in [c.heading for c in plain]


def test_where_cells_have_different_metrics_each_cell_names_its_own() -> None:
    measured = tuple(scored(number, name, higher_is_better=True) for number, name in enumerate(("mIoU", "F1")))
    run = make_run(PLANNED, measured)
    texts = [[c.text(view) for c in columns_of(*measured)] for view in cell_views(run)]
    assert any("mIoU" in text for text in texts[0])
    assert any("F1" in text for text in texts[1])
