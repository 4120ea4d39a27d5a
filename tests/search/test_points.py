from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.conditions import Condition, ConditionId
from harness.search.points import DropBasis, findings
from harness.spec.goal import Minimise
from harness.spec.shorthand import parse_recipe
from harness.wire import Format
from tests.report.builders import cells, make_run, measurement
from tests.search.found import GOAL, findings_of, point

FP32 = point(parse_recipe("fp32"), Format.ONNX)
INT8 = point(parse_recipe("int8"), Format.ONNX, drop=0.009)
LATENCY = replace(GOAL, minimise=Minimise.LATENCY)


def test_the_smallest_that_keeps_the_quality_is_shipped_unless_it_is_slower_than_fp32() -> None:
    assert findings_of((FP32, INT8)).ship is INT8
    assert findings_of((FP32, replace(INT8, drop=0.011))).ship is FP32
    slow = replace(INT8, latency_ns=1100.0)
    assert findings_of((FP32, slow)).ship is FP32
    assert findings_of((replace(FP32, drop=0.5), slow)).ship is slow, "better slower than nothing"


def test_a_drop_of_exactly_the_limit_is_kept_whatever_its_rounding() -> None:
    # 0.99 - 0.98 is 0.010000000000000009 in floating point.
    assert findings_of((FP32, replace(INT8, drop=0.99 - 0.98))).ship is not FP32


def test_the_fastest_is_shipped_and_of_equally_fast_ones_the_smallest() -> None:
    fast = replace(FP32, latency_ns=900.0)
    assert findings_of((fast, replace(INT8, latency_ns=920.0)), LATENCY).ship != fast
    assert findings_of((fast, replace(INT8, latency_ns=960.0)), LATENCY).ship is fast


def test_the_front_trades_quality_for_size() -> None:
    better = replace(FP32, quality=0.99)
    smaller = replace(INT8, quality=0.98)
    beaten = replace(INT8, quality=0.98, bytes=60_000)
    assert findings_of((better, beaten, smaller)).front == (smaller, better)


def test_points_are_judged_by_accuracy_with_labels_and_by_agreement_without() -> None:
    planned = cells()
    run = make_run(planned, tuple(measurement(c) for c in planned))
    found = findings(run, GOAL)
    assert (found.basis, found.reference) == (DropBasis.ACCURACY, 356 / 360)
    int8 = next(p for p in found.points if p.cell.variant == "int8")
    assert int8.drop == pytest.approx(2 / 360)
    blind = replace(run, measurements=tuple(replace(m, accuracy=None) for m in run.measurements))
    found = findings(blind, GOAL)
    assert found.basis is DropBasis.AGREEMENT
    assert all(p.drop == 1 - (p.quality or 0) for p in found.points)


def test_random_weights_are_not_judged() -> None:
    planned = cells()[:3]
    noise = Condition(id=ConditionId.RANDOM_WEIGHTS, summary="")
    measured = tuple(replace(measurement(c), accuracy=None, conditions=(noise,)) for c in planned)
    found = findings(make_run(planned, measured), GOAL)
    assert found.basis is DropBasis.NOTHING
    assert len(found.kept) == 3


def test_cells_that_have_not_run_are_not_points() -> None:
    planned = cells()[:3]
    assert len(findings(make_run(planned, (measurement(planned[0]),)), GOAL).points) == 1
