"""What is recommended, and what the figures do not support."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.plan.cells import Cell
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import Measurement
from harness.report.ranking import Quality, QualityBasis, Ranking, rankings
from harness.report.sections.advice import advise
from harness.spec.profiles import ProfileName
from tests.report.builders import (
    DESKTOP,
    FACTS,
    PHONE,
    accuracy_of,
    broken,
    cells,
    host_run,
    make_run,
    measurement,
    phone_run,
)

ON_PHONE = cells(device=PHONE.key, profile=ProfileName.STANDARD)
FP32, FP16, INT8, DYNAMIC = ON_PHONE[4:8]


def ranked(*measured: Measurement) -> Ranking:
    """The ranking of these measurements of cells on the phone."""
    by_key: dict[str, Cell] = {c.key: c for c in (*ON_PHONE, *cells())}
    return rankings(make_run(tuple(by_key[m.cell] for m in measured), measured, device=PHONE))[0]


def with_correct(cell: Cell, correct: int) -> Measurement:
    return replace(measurement(cell, launches=5), accuracy=accuracy_of(correct, 1000))


def unlabelled(cell: Cell, agreement: float | None, sqnr_db: float = 30.0) -> Measurement:
    changed = measurement(cell, launches=5)
    assert changed.fidelity
    return replace(changed, accuracy=None, fidelity=replace(changed.fidelity, agreement=agreement, sqnr_db=sqnr_db))


@pytest.mark.parametrize(
    ("correct", "expected"), [(980, Quality.HOLDS), (979, Quality.LOST), (1000, Quality.HOLDS), (100, Quality.LOST)]
)
def test_accuracy_may_fall_by_one_percentage_point(correct: int, expected: Quality) -> None:
    ranking = ranked(with_correct(FP32, 990), with_correct(INT8, correct))
    assert ranking.quality[INT8.key] is expected


def test_the_fastest_that_keeps_its_accuracy_is_shipped() -> None:
    ranking = ranked(with_correct(FP32, 990), with_correct(INT8, 900), with_correct(DYNAMIC, 985))
    assert ranking.best is not None
    assert ranking.best.cell == DYNAMIC
    assert "Left out because they lose quality: int8 tflite." in advise(ranking).notes


def test_without_fp32_the_float_models_own_accuracy_is_the_reference() -> None:
    measured = measurement(INT8)
    assert rankings(make_run((INT8,), (measured,), device=PHONE))[0].reference == pytest.approx(356 / 360)
    facts = replace(FACTS, float_correct=None)
    assert rankings(make_run((INT8,), (measured,), facts=facts))[0].reference == pytest.approx(354 / 360)


@pytest.mark.parametrize(("agreement", "expected"), [(0.99, Quality.HOLDS), (0.98, Quality.LOST)])
def test_without_accuracy_agreement_decides(agreement: float, expected: Quality) -> None:
    ranking = ranked(unlabelled(INT8, agreement))
    assert (ranking.basis, ranking.quality[INT8.key]) == (QualityBasis.AGREEMENT, expected)


@pytest.mark.parametrize(("sqnr_db", "expected"), [(25.0, Quality.HOLDS), (12.0, Quality.LOST)])
def test_without_classes_the_sqnr_decides(sqnr_db: float, expected: Quality) -> None:
    ranking = ranked(unlabelled(INT8, None, sqnr_db))
    assert (ranking.basis, ranking.quality[INT8.key]) == (QualityBasis.SQNR, expected)


@pytest.mark.parametrize("condition", [ConditionId.RANDOM_WEIGHTS, ConditionId.RANDOM_INPUTS])
def test_fidelity_of_random_networks_or_inputs_is_not_judged(condition: ConditionId) -> None:
    ranking = ranked(replace(unlabelled(INT8, 0.2), conditions=(Condition(id=condition, summary="random"),)))
    assert (ranking.basis, ranking.quality[INT8.key]) == (QualityBasis.NOTHING, Quality.UNKNOWN)
    assert ranking.best is not None


def test_a_cell_of_unknown_quality_does_not_win_over_a_judged_one() -> None:
    fast = replace(measurement(INT8, launches=5), accuracy=None, fidelity=None, artifact=None)
    ranking = ranked(measurement(FP32, launches=5), fast)
    assert ranking.best is not None
    assert ranking.best.cell == FP32


def test_nothing_is_shipped_when_no_cell_keeps_its_accuracy() -> None:
    ranking = ranked(with_correct(INT8, 500), with_correct(DYNAMIC, 400))
    assert ranking.best is None
    assert advise(ranking).headline.startswith("Nothing can be recommended")


def test_on_a_desktop_cpu_latency_of_int8_is_not_ranked() -> None:
    ranking = rankings(host_run())[0]
    assert (ranking.latency_ranked, ranking.best) == (False, None)
    assert {v.cell.variant for v in ranking.candidates} == {"fp32"}
    assert [key.split("-")[1] for key in ranking.front] == ["fp32"]
    advice = advise(ranking)
    assert advice.headline.startswith("The smallest file that keeps the quality is int8 onnx")
    assert any("measure on a phone" in note for note in advice.notes)
    assert any("--profile standard" in note for note in advice.notes)


def test_a_desktop_cpu_ships_nothing_even_with_fp32_alone() -> None:
    desktop = cells()[0]
    assert ranked(measurement(desktop, conditions=(DESKTOP,))).best is None


@pytest.mark.parametrize(
    ("variant", "count", "words"),
    [
        ("fp32", 1, "Here, fp32 pte takes 41.1 µs per call."),
        ("as-is", 1, "Here, as-is pte takes 41.1 µs per call."),
        ("fp32", 2, "Among the fp32 files, fp32 tflite is the fastest here (18.6 µs)."),
        ("as-is", 2, "Of these cells, as-is tflite is the fastest here (18.6 µs)."),
    ],
)
def test_a_desktop_cpu_ranks_only_what_it_may(variant: str, count: int, words: str) -> None:
    planned = tuple(replace(cell, variant=variant) for cell in cells() if cell.variant == "fp32")[:count]
    measured = tuple(measurement(cell, conditions=(DESKTOP,)) for cell in cells() if cell.variant == "fp32")[:count]
    notes = advise(rankings(make_run(planned, measured))[0]).notes
    assert [words in note for note in notes if "measure on a phone" in note] == [True]


def test_a_phone_gets_a_plain_recommendation() -> None:
    ranking = rankings(phone_run())[0]
    assert ranking.best is not None
    assert (ranking.best.cell.variant, ranking.best.cell.format.value) == ("int8", "tflite")
    advice = advise(ranking)
    assert advice.headline.startswith("Ship int8 tflite: 11.8 µs per call, 1.6× as fast as the fastest fp32")
    assert not any("--profile standard" in note for note in advice.notes)


def test_front_is_fastest_first_and_leaves_out_what_is_beaten() -> None:
    ranking = ranked(with_correct(FP32, 990), with_correct(FP16, 980), with_correct(INT8, 985))
    assert ranking.front == (INT8.key, FP32.key)


@pytest.mark.parametrize(
    ("median_ns", "low_ns", "tied"), [(1020.0, 1010.0, True), (1100.0, 1005.0, True), (1100.0, 1050.0, False)]
)
def test_cells_too_close_to_call_are_named(median_ns: float, low_ns: float, tied: bool) -> None:
    def timed(cell: Cell, median: float, low: float, high: float) -> Measurement:
        changed = measurement(cell, launches=5)
        assert changed.latency
        return replace(changed, latency=replace(changed.latency, median_ns=median, low_ns=low, high_ns=high))

    ranking = ranked(timed(FP32, 1000.0, 990.0, 1010.0), timed(FP16, median_ns, low_ns, 1200.0))
    assert [v.cell for v in ranking.as_fast] == ([FP16] if tied else [])


def test_conditions_of_the_shipped_cell_are_named() -> None:
    hot = Condition(id=ConditionId.THERMAL, summary="the phone was warm.")
    ranking = ranked(measurement(INT8, launches=5, conditions=(hot,)))
    assert "Conditions of this cell: THERMAL." in advise(ranking).notes


def test_no_cell_ok_is_a_sentence() -> None:
    ranking = ranked(broken(INT8))
    assert (ranking.ok, ranking.best, ranking.front) == ((), None, ())
    assert (
        advise(ranking).headline == f"Nothing can be recommended: no cell of digits on {PHONE.key} has run to its end."
    )
