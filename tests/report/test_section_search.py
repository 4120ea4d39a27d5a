"""What a search found, in words and as JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.quality import Quality, QualityBasis, QualityFacts
from harness.compare.speed import one_launch
from harness.records.conditions import ConditionId
from harness.records.measurement import GroupFacts, GroupKind, GroupScore
from harness.report.commands import command_line
from harness.report.search_words import findings_of, front_rows, headline, notes, search_json
from harness.search.points import DropBasis
from harness.spec.goal import Goal, Minimise
from harness.spec.shorthand import parse_recipe
from harness.stats.losses import loss_of_answers
from harness.wire import Format
from tests.report.builders import page_of, with_head
from tests.report.wide import like_samples, wide_run
from tests.search.found import findings_of as made_up
from tests.search.found import judged, point

GOAL = Goal(max_drop=0.01, minimise=Minimise.SIZE, budget=60)
FP32 = point(parse_recipe("fp32"), Format.ONNX)
INT8 = point(parse_recipe("int8"), Format.ONNX, drop=0.005, quality=0.985, speed=one_launch(800.0))


def test_the_headline_says_what_to_ship_and_what_it_gains() -> None:
    words = headline(made_up((FP32, INT8)))
    assert words.startswith("Ship int8 onnx: 32.0 kB and 800 ns per call, a drop of 0.50 pp")
    assert "1/3.3 the size, 0.80× the time of fp32 as onnx" in words
    assert headline(made_up((point(FP32.recipe, Format.ONNX, drop=0.3),))).startswith(
        "Nothing to ship: none of 1 points"
    )


def test_what_limits_the_answer_is_said() -> None:
    desktop = replace(INT8, conditions=frozenset({ConditionId.DESKTOP_CPU}))
    assert any("desktop CPU" in note for note in notes(made_up((FP32, desktop))))
    assert "Accuracy was not measured" in notes(made_up((FP32,), basis=DropBasis.AGREEMENT))[0]
    slow = replace(INT8, speed=one_launch(1300.0))
    assert any("Smaller, but slower than fp32: int8 onnx" in note for note in notes(made_up((FP32, slow))))


def test_what_was_left_out_is_named_with_its_reason() -> None:
    lossy = point(parse_recipe("int8-dynamic"), Format.TFLITE, drop=0.3)
    unclear = replace(point(parse_recipe("int8"), Format.TFLITE), judged=judged(Quality.OPEN))
    said = notes(made_up((FP32, INT8, lossy, unclear)))
    assert "Left out, shown to drop by more than 1 pp: int8-dynamic tflite." in said
    assert "Left out, not shown to drop by at most 1 pp: int8 tflite." in said


@pytest.mark.parametrize("minimise", list(Minimise))
def test_what_a_desktop_cpu_says_of_int8_counts_for_its_own_latency_alone(minimise: Minimise) -> None:
    """int8 is slower than fp32 on this x86 processor; a phone may well be the other way round."""
    desktop = frozenset({ConditionId.DESKTOP_CPU})
    slow = replace(INT8, speed=one_launch(1500.0), conditions=desktop)
    pruned = point(parse_recipe("prune50"), Format.ONNX, conditions=desktop, bytes=50_000)
    found = made_up((replace(FP32, conditions=desktop), slow, pruned), replace(GOAL, minimise=minimise))
    said = notes(found)
    assert found.ship is (slow if minimise is Minimise.SIZE else pruned)
    here = "slower than fp32 on this desktop CPU, which does not show that"
    assert any(
        note == f"int8 onnx is {here} it is slower on a phone, so that it does not count."
        if minimise is Minimise.SIZE
        else note == f"Not pruned, because they are {here} they are slower on a phone: int8 onnx."
        for note in said
    )


def test_a_drop_that_is_not_shown_to_be_small_is_said_to_be_likely() -> None:
    loss = loss_of_answers([True] * 360, [False] * 2 + [True] * 358, 0.01)
    facts = QualityFacts(quality=Quality.LIKELY, basis=QualityBasis.ACCURACY, loss=loss, closeness_db=27.0)
    found = made_up((FP32, replace(INT8, judged=facts)))
    # Tango's interval of 2 of 360 lost, with the score statistic maximised by scipy: -0.5 to 2.0 points.
    assert "a drop of 0.50 pp (95 %: -0.51 to 2.00)" in headline(found)
    said = notes(found)
    assert any(note.startswith("360 inputs cannot show that this drop is within the limit.") for note in said)
    assert any("was made on the test inputs" in note for note in said)


def test_the_front_marks_what_is_shipped_and_what_drops_too_much() -> None:
    lossy = point(parse_recipe("int8-dynamic"), Format.TFLITE, drop=0.3, quality=0.7, bytes=9_000)
    rows = front_rows(made_up((FP32, INT8, lossy)))
    assert [(row[0], row[-1]) for row in rows] == [("int8-dynamic", "drops too much"), ("int8", "ship"), ("fp32", "")]


def test_a_search_is_on_its_page_with_its_own_command() -> None:
    run = with_head(wide_run(), goal=GOAL)
    page = page_of(run, like_samples(run))
    assert "Search result" in page
    assert "--max-drop 1pp --minimise size --budget 60" in command_line(run.head.spec, run.head.goal)
    limited = command_line(run.head.spec, replace(GOAL, max_group_drop=0.05))
    assert "--minimise size --max-group-drop 5pp --budget 60" in limited
    assert findings_of(wide_run()) is None


def test_json_has_every_point() -> None:
    run = with_head(wide_run(), goal=GOAL)
    findings = findings_of(run)
    assert findings is not None
    plain = search_json(run, findings, ended="over", spec_file=None)
    assert len(plain["points"]) == len(run.head.plan.cells)
    assert plain["ship"]["cell"] in {p["cell"] for p in plain["points"]}
    assert plain["goal"]["max_drop"] == 0.01


def group(drop: float) -> GroupFacts:
    worst = GroupScore(name="7", count=40, value=1 - drop, float_value=1.0, drop=drop)
    return GroupFacts(kind=GroupKind.CLASS, metric="top-1", share=True, groups=(worst,))


@pytest.mark.parametrize(
    ("limit", "drop", "keeps"), [(None, 0.5, True), (0.05, 0.05, True), (0.05, 0.06, False), (0.0, 0.01, False)]
)
def test_a_point_keeps_the_limit_on_single_classes(limit: float | None, drop: float, keeps: bool) -> None:
    tried = replace(point(parse_recipe("int8"), Format.ONNX), group=group(drop))
    found = made_up((tried,), replace(GOAL, max_group_drop=limit))
    assert found.keeps(tried) is keeps
    said = " ".join(notes(found))
    assert ("Left out, because one class or group dropped" in said) is not keeps
    assert ("int8 onnx (class 7)" in said) is not keeps
    assert [row[-1] for row in front_rows(found)] == ["ship" if keeps else "one class drops too much"]


def test_a_limit_on_classes_without_labels_is_said_not_to_apply() -> None:
    tried = point(parse_recipe("int8"), Format.ONNX)
    found = made_up((tried,), replace(GOAL, max_group_drop=0.01))
    assert found.keeps(tried)
    assert any("was not applied" in note for note in notes(found))
