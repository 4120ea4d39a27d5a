from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.speed import one_launch
from harness.records.measurement import CellStatus
from harness.search.points import Findings, Point
from harness.search.walk import builds_done, next_move, not_pruned
from harness.spec.goal import Goal
from harness.spec.recipe import Precision, Recipe
from harness.wire import Format
from tests.search.found import FORMATS, GOAL, Rule, breaks_at, findings_of, point, ratio_of


def walked(rule: Rule, goal: Goal = GOAL) -> tuple[Findings, list[str]]:
    """Make every move of a walk; return the findings at its end and the reason of each move."""
    found, whys = findings_of((), goal), list[str]()
    while (move := next_move(found, FORMATS)) is not None:
        whys.append(move.why)
        found = findings_of((*found.points, *(rule(*pair) for pair in move.pairs)), goal)
    return found, whys


def test_precisions_come_first_then_ratios_then_the_other_formats() -> None:
    found, whys = walked(breaks_at(0.6))
    assert [(p.recipe.name, p.cell.format) for p in found.points[:2]] == [("fp32", f) for f in FORMATS]
    assert {p.recipe.name for p in found.points[:8]} == {"fp32", "int8", "fp16", "int8-dynamic"}
    assert whys[1] == "pruning with int8 as tflite"
    assert whys[2] == "50 % of the channels removed in the other formats"
    assert [p.cell.format for p in found.points if p.recipe.name == "prune50+int8"] == list(FORMATS)


@pytest.mark.parametrize("limit", [0.12, 0.33, 0.58, 0.74, 0.9])
def test_bisection_comes_within_ten_per_cent_of_what_the_model_can_lose(limit: float) -> None:
    found, _ = walked(breaks_at(limit))
    assert found.ship is not None
    assert limit - 0.101 <= ratio_of(found.ship.recipe) <= limit
    assert builds_done(found) <= 20


def test_nothing_is_tried_twice_and_the_budget_holds() -> None:
    found, _ = walked(breaks_at(0.6), replace(GOAL, budget=10))
    keys = [p.cell.key for p in found.points]
    assert len(keys) == len(set(keys)) == 10


def test_points_that_were_never_built_cost_no_budget() -> None:
    def rule(recipe: Recipe, format_: Format) -> Point:
        hole = recipe.precision is Precision.FP16
        return point(recipe, format_, status=CellStatus.UNSUPPORTED, bytes=None) if hole else point(recipe, format_)

    found, _ = walked(rule, replace(GOAL, budget=7))
    assert (len(found.points), builds_done(found)) == (9, 7)


def test_layers_stay_in_float_if_int8_loses_too_much_and_more_of_them_if_it_still_does() -> None:
    def rule(recipe: Recipe, format_: Format) -> Point:
        keep = recipe.quantisation.keep_float
        enough = 0.2 if format_ is Format.ONNX else 0.0
        lost = recipe.precision is Precision.INT8 and (keep.share if keep and keep.share else 0.0) < enough
        return point(recipe, format_, drop=0.05 if lost else 0.0)

    found, _ = walked(rule)
    mixed = {(p.recipe.name, p.cell.format) for p in found.points if p.recipe.quantisation.keep_float}
    assert {("int8-mixed", Format.ONNX), ("int8-keep25", Format.ONNX)} <= mixed
    assert not any(format_ is Format.TFLITE for _, format_ in mixed)


def test_pruning_does_not_start_from_a_point_slower_than_fp32() -> None:
    def rule(recipe: Recipe, format_: Format) -> Point:
        slow = recipe.name == "int8" and format_ is Format.TFLITE
        return point(recipe, format_, **({"speed": one_launch(1500.0)} if slow else {}))

    found, whys = walked(rule)
    assert whys[1] == "pruning with int8-dynamic as tflite"
    assert [(p.recipe.name, p.cell.format) for p in not_pruned(found)] == [("int8", Format.TFLITE)]


def test_bisection_continues_in_the_format_where_pruning_helps_most() -> None:
    def rule(recipe: Recipe, format_: Format) -> Point:
        made = breaks_at(0.6)(recipe, format_)
        small = format_ is Format.ONNX and bool(recipe.steps)
        return replace(made, bytes=1000 if small else made.bytes)

    found, whys = walked(rule)
    assert whys[3] == "int8 between 50 % pruned, which keeps the quality, and 75 %"
    assert [p.cell.format for p in found.points[-2:]] == [Format.ONNX, Format.ONNX]


def test_pruning_ends_at_once_if_it_is_impossible() -> None:
    def rule(recipe: Recipe, format_: Format) -> Point:
        return point(recipe, format_, status=CellStatus.UNSUPPORTED if recipe.steps else CellStatus.OK)

    found, _ = walked(rule)
    assert [p.recipe.name for p in found.points if p.recipe.steps] == ["prune50+int8", "prune75+int8"]


def test_a_search_in_which_nothing_runs_ends() -> None:
    found, whys = walked(lambda recipe, format_: point(recipe, format_, status=CellStatus.FAILED, bytes=None))
    assert len(whys) == 1
    assert found.ship is None
