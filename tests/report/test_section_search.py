"""What a search found, in words and as JSON."""

from __future__ import annotations

from dataclasses import replace

from harness.records.conditions import ConditionId
from harness.report.sections.command import command_line
from harness.report.sections.search import findings_of, front_rows, headline, notes, search_json
from harness.search.points import DropBasis
from harness.spec.goal import Goal, Minimise
from harness.spec.shorthand import parse_recipe
from harness.wire import Format
from tests.report.builders import page_of, with_head
from tests.report.wide import like_samples, wide_run
from tests.search.found import findings_of as made_up
from tests.search.found import point

GOAL = Goal(max_drop=0.01, minimise=Minimise.SIZE, budget=60)
FP32 = point(parse_recipe("fp32"), Format.ONNX)
INT8 = point(parse_recipe("int8"), Format.ONNX, drop=0.005, quality=0.985, latency_ns=800.0)


def test_the_headline_says_what_to_ship_and_what_it_gains() -> None:
    words = headline(made_up((FP32, INT8)))
    assert words.startswith("Ship int8 onnx: 32.0 kB and 800 ns per call, a drop of 0.50 pp")
    assert "1/3.3 the size, 0.80× the time of fp32 as onnx" in words
    assert headline(made_up((replace(FP32, drop=0.3),))).startswith("Nothing to ship: none of 1 points")


def test_what_limits_the_answer_is_said() -> None:
    desktop = replace(INT8, conditions=frozenset({ConditionId.DESKTOP_CPU}))
    assert any("desktop CPU" in note for note in notes(made_up((FP32, desktop))))
    assert "Accuracy was not measured" in notes(made_up((FP32,), basis=DropBasis.AGREEMENT))[0]
    slow = replace(INT8, latency_ns=1200.0)
    assert any("Smaller, but slower than fp32: int8 onnx" in note for note in notes(made_up((FP32, slow))))


def test_the_front_marks_what_is_shipped_and_what_drops_too_much() -> None:
    lossy = point(parse_recipe("int8-dynamic"), Format.TFLITE, drop=0.3, quality=0.7, bytes=9_000)
    rows = front_rows(made_up((FP32, INT8, lossy)))
    assert [(row[0], row[-1]) for row in rows] == [("int8-dynamic", "drops too much"), ("int8", "ship"), ("fp32", "")]


def test_a_search_is_on_its_page_with_its_own_command() -> None:
    run = with_head(wide_run(), goal=GOAL)
    page = page_of(run, like_samples(run))
    assert "Search result" in page
    assert "--max-drop 1pp --minimise size --budget 60" in command_line(run.head.spec, run.head.goal)
    assert findings_of(wide_run()) is None


def test_json_has_every_point() -> None:
    run = with_head(wide_run(), goal=GOAL)
    findings = findings_of(run)
    assert findings is not None
    plain = search_json(run, findings, ended="over", spec_file=None)
    assert len(plain["points"]) == len(run.head.plan.cells)
    assert plain["ship"]["cell"] in {p["cell"] for p in plain["points"]}
    assert plain["goal"]["max_drop"] == 0.01
