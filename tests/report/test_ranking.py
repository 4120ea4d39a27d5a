"""What is recommended, and what the figures do not support. Each table has its right answer argued beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.compare.quality import Quality, QualityBasis
from harness.plan.cells import Cell, make_cell
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import Fidelity, Measurement, TaskScores
from harness.report.ranking import Ranking, rankings
from harness.report.sections.advice import advise
from harness.report.sections.advice import lines as advice_lines
from harness.report.sections.section import report_of
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format
from tests.report.builders import (
    DESKTOP,
    FACTS,
    HOST,
    PHONE,
    accuracy_from,
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


def answered(cell: Cell, wrong: Sequence[int], count: int, sqnr_db: float = 25.0) -> Measurement:
    """A cell that answers the inputs ``wrong`` of ``count`` wrongly; the float model answers all of them rightly."""
    right = [index not in wrong for index in range(count)]
    plain = measurement(cell, launches=5)
    accuracy = accuracy_from(right, [True] * count)
    return replace(plain, accuracy=accuracy, fidelity=fidelity(sqnr_db, 1 - len(wrong) / count, count))


def fidelity(sqnr_db: float, agreement: float | None, count: int) -> Fidelity:
    return Fidelity(
        sqnr_db=sqnr_db, sqnr_worst_db=sqnr_db - 5, cosine=0.99, max_error=0.1, agreement=agreement, count=count
    )


def unlabelled(cell: Cell, agreement: float | None, sqnr_db: float = 30.0, count: int = 360) -> Measurement:
    plain = measurement(cell, launches=5)
    return replace(plain, accuracy=None, fidelity=fidelity(sqnr_db, agreement, count))


def sized(measured: Measurement, kilobytes: float) -> Measurement:
    assert measured.artifact
    return replace(measured, artifact=replace(measured.artifact, bytes=round(1000 * kilobytes)))


def timed(
    measured: Measurement, median_ns: float, low_ns: float | None = None, high_ns: float | None = None
) -> Measurement:
    assert measured.latency
    return replace(measured, latency=replace(measured.latency, median_ns=median_ns, low_ns=low_ns, high_ns=high_ns))


def quality_of(ranking: Ranking, cell: Cell) -> Quality:
    return ranking.quality[cell.key].quality


def test_one_photo_of_twenty_decides_nothing_and_the_closest_of_the_small_files_is_recommended() -> None:
    """EfficientNet-Lite0 as .tflite on 20 photos, as it was measured.

    Against fp32, int8 loses two photos, int8-mixed two and int8-tensor one. None of that is evidence: McNemar's exact
    p-value is 0.5 for two and 1 for one. int8-tensor has noise of 15 % of the signal (8.1 dB), the other two have 1 %.
    So int8-tensor must not win, and the others must not be called worse. They differ by 2 dB and 1 % of their size.
    """
    delegate = Delegate.XNNPACK
    variants = {
        "fp32": (131.0, 18_570),
        "int8": (18.8, 5_020),
        "int8-tensor": (8.1, 4_940),
        "int8-mixed": (20.8, 5_080),
    }
    wrong = {"fp32": (), "int8": (3, 7), "int8-tensor": (7,), "int8-mixed": (2, 3)}
    planned = [make_cell("lite0", v, Format.TFLITE, delegate, 1, "host", ProfileName.QUICK) for v in variants]
    measured = [
        replace(
            sized(answered(replace(cell, variant="int8" if "-" in v else v), wrong[v], 20, db), kb),
            cell=cell.key,
            conditions=(DESKTOP,),
        )
        for cell, (v, (db, kb)) in zip(planned, variants.items(), strict=True)
    ]
    ranking = rankings(make_run(tuple(planned), tuple(measured), facts=replace(FACTS, name="lite0")))[0]
    qualities = {cell.variant: quality_of(ranking, cell) for cell in planned}
    assert qualities == {
        "fp32": Quality.HOLDS,
        "int8": Quality.LIKELY,
        "int8-tensor": Quality.OPEN,
        "int8-mixed": Quality.LIKELY,
    }
    advice = advise(ranking)
    assert advice.headline.startswith("Of the smallest files, the closest to the float model is int8-mixed tflite")
    assert "Not shown to be good enough, so not recommended: int8-tensor tflite (SQNR 8.1 dB)." in advice.notes
    assert not any("Left out" in note for note in advice.notes)
    (told,) = (note for note in advice.notes if note.startswith("20 labelled inputs cannot show whether a file loses"))
    assert "(that takes at least 268)" in told
    assert told.endswith("float model's: int8-mixed tflite (SQNR 20.8 dB), int8 tflite (SQNR 18.8 dB).")


@pytest.mark.parametrize(
    ("count", "wrong", "sqnr_db", "expected"),
    [
        # 50,000 inputs: half of one point is lost, which the interval shows to be less than one.
        (50_000, 250, 12.0, Quality.HOLDS),
        # Two points are lost: certainly more than one.
        (50_000, 1000, 30.0, Quality.LOST),
        # Exactly one point: neither. The outputs decide.
        (50_000, 500, 30.0, Quality.OPEN),
        # 360 inputs, two lost (p = 0.5): open; the outputs are close, or not.
        (360, 2, 18.0, Quality.LIKELY),
        (360, 2, 9.0, Quality.OPEN),
        # 20 of 360 lost: more than one point, however close the outputs are.
        (360, 20, 30.0, Quality.LOST),
        # Six of six changed answers were lost (p = 0.03), but the interval starts below one point.
        (360, 6, 30.0, Quality.OPEN),
        # Five inputs show nothing.
        (5, 1, 30.0, Quality.LIKELY),
        (5, 1, 9.0, Quality.OPEN),
    ],
)
def test_labels_decide_where_they_can_and_closeness_where_they_cannot(
    count: int, wrong: int, sqnr_db: float, expected: Quality
) -> None:
    ranking = ranked(answered(FP32, (), count, 131.0), answered(INT8, range(wrong), count, sqnr_db))
    assert quality_of(ranking, INT8) is expected


def test_a_file_is_not_called_worse_for_the_kernels_of_this_computer() -> None:
    wrong_here = Condition(id=ConditionId.HOST_KERNEL, summary="with onednn the file is 38 dB, here: -1.3 dB")
    bad = answered(INT8, range(90), 100, -1.3)
    assert quality_of(ranked(bad), INT8) is Quality.LOST
    assert quality_of(ranked(replace(bad, conditions=(wrong_here,))), INT8) is Quality.OPEN


def test_nobody_is_called_worse_for_being_better() -> None:
    """The float model is wrong on ten inputs of 360 that the file gets right (a distilled network may do that)."""
    better = answered(INT8, (), 360)
    better = replace(better, accuracy=accuracy_from([True] * 360, [index >= 10 for index in range(360)]))
    assert quality_of(ranked(better), INT8) is Quality.HOLDS


def test_the_fastest_that_is_good_enough_is_shipped_and_what_is_worse_is_named_with_its_reason() -> None:
    ranking = ranked(
        answered(FP32, (), 1000, 131.0), answered(INT8, range(90), 1000, 8.0), answered(DYNAMIC, (0, 1), 1000)
    )
    assert ranking.best is not None
    assert ranking.best.cell == DYNAMIC
    notes = advise(ranking).notes
    assert "Left out because they are shown to lose more than 1 percentage point: int8 tflite." in notes


def test_a_fast_file_that_is_far_from_the_float_model_does_not_win_without_proof() -> None:
    """The tensor-wise file is measurably faster but has 8 dB; 60 inputs cannot show that it loses less than a point."""
    fast = timed(answered(INT8, (), 60, 8.0), 100.0, 99.0, 101.0)
    slow = timed(answered(DYNAMIC, (), 60, 21.0), 120.0, 119.0, 121.0)
    best = ranked(timed(answered(FP32, (), 60, 131.0), 300.0, 290.0, 310.0), fast, slow).best
    assert best is not None
    assert best.cell == DYNAMIC


def test_of_files_equally_fast_and_small_the_closest_is_shipped() -> None:
    """The intervals overlap and the sizes differ by 2 %, so that 6 dB decide."""
    first = sized(timed(answered(INT8, (3,), 100, 18.0), 100.0, 97.0, 103.0), 100)
    second = sized(timed(answered(DYNAMIC, (4,), 100, 24.0), 102.0, 99.0, 105.0), 102)
    ranking = ranked(first, second)
    assert ranking.best is not None
    assert ranking.best.cell == DYNAMIC
    assert "No measurable difference in speed: int8 tflite." in advise(ranking).notes


def test_the_worst_inputs_count_and_not_only_the_median() -> None:
    """A median of 25 dB with inputs at -3 dB is a file that is wholly wrong on some inputs."""
    uneven = answered(INT8, (3,), 100, 25.0)
    assert uneven.fidelity
    uneven = replace(uneven, fidelity=replace(uneven.fidelity, sqnr_worst_db=-3.0))
    assert quality_of(ranked(answered(FP32, (), 100, 131.0), uneven), INT8) is Quality.OPEN


def test_without_fp32_the_float_models_own_answers_are_the_reference() -> None:
    ranking = ranked(answered(INT8, range(20), 360))
    assert ranking.reference.value == 1.0
    assert quality_of(ranking, INT8) is Quality.LOST


def test_runs_of_earlier_versions_know_only_how_many_answers_were_right() -> None:
    """The float model had 356 of 360. 354 is open, and 300 is certainly more than a point below, paired or not."""
    measured = measurement(INT8)
    ranking = rankings(make_run((INT8,), (measured,), device=PHONE))[0]
    assert ranking.reference.value == pytest.approx(356 / 360)
    assert quality_of(ranking, INT8) is Quality.LIKELY
    bad = replace(measured, accuracy=accuracy_of(300))
    assert quality_of(rankings(make_run((INT8,), (bad,), device=PHONE))[0], INT8) is Quality.LOST
    # Nothing to compare with but the file itself, which loses nothing, however few its inputs are.
    facts = replace(FACTS, float_correct=None)
    alone = replace(measured, accuracy=accuracy_of(18, 20), fidelity=fidelity(5.0, 0.9, 20))
    ranking = rankings(make_run((INT8,), (alone,), facts=facts))[0]
    assert ranking.reference.cell == INT8.key
    assert quality_of(ranking, INT8) is Quality.HOLDS


@pytest.mark.parametrize(
    ("agreement", "count", "sqnr_db", "expected"),
    [
        # With the same answers on 360 inputs, more than 1 % can be excluded; on 20 it cannot.
        (1.0, 360, 12.0, Quality.HOLDS),
        (1.0, 20, 12.0, Quality.OPEN),
        (0.95, 20, 18.0, Quality.LIKELY),
        (0.97, 10_000, 18.0, Quality.LIKELY),
        # A fifth of the answers differ.
        (0.8, 360, 18.0, Quality.LOST),
    ],
)
def test_without_labels_answers_and_outputs_decide(
    agreement: float, count: int, sqnr_db: float, expected: Quality
) -> None:
    ranking = ranked(unlabelled(INT8, agreement, sqnr_db, count))
    assert (ranking.basis, quality_of(ranking, INT8)) == (QualityBasis.AGREEMENT, expected)


@pytest.mark.parametrize(("sqnr_db", "expected"), [(45.0, Quality.HOLDS), (25.0, Quality.LIKELY), (12.0, Quality.OPEN)])
def test_without_classes_the_sqnr_decides_and_never_shows_a_loss(sqnr_db: float, expected: Quality) -> None:
    ranking = ranked(unlabelled(INT8, None, sqnr_db))
    assert (ranking.basis, quality_of(ranking, INT8)) == (QualityBasis.SQNR, expected)


@pytest.mark.parametrize(("drop", "expected"), [(0.0005, Quality.HOLDS), (0.05, Quality.LOST), (0.0085, Quality.OPEN)])
def test_the_metric_of_the_folder_is_judged_input_by_input(drop: float, expected: Quality) -> None:
    """Scores differ a lot between inputs and little between files; the limit is 1 % of the float model's 0.85.

    A loss of 0.0085 is certain, and neither shown to be below the limit nor above it.
    """
    floats = tuple(0.8 + 0.001 * i for i in range(100))
    scores = tuple(s - drop + 0.004 * (-1) ** i for i, s in enumerate(floats))
    own = TaskScores(
        metric="mIoU", value=sum(scores) / 100, low=None, high=None, count=100, scores=scores, float_scores=floats
    )
    ranking = ranked(replace(unlabelled(INT8, None, 25.0), scores=own))
    assert (ranking.basis, quality_of(ranking, INT8)) == (QualityBasis.SCORE, expected)


@pytest.mark.parametrize("condition", [ConditionId.RANDOM_WEIGHTS, ConditionId.RANDOM_INPUTS])
def test_fidelity_of_random_networks_or_inputs_is_not_judged(condition: ConditionId) -> None:
    ranking = ranked(replace(unlabelled(INT8, 0.2), conditions=(Condition(id=condition, summary="random"),)))
    assert (ranking.basis, quality_of(ranking, INT8)) == (QualityBasis.NOTHING, Quality.UNKNOWN)
    assert ranking.best is not None


def test_a_network_that_was_pruned_and_not_trained_is_never_recommended() -> None:
    """With random weights nothing can be judged, and the pruned network is the fastest."""
    ids = ConditionId.RANDOM_WEIGHTS, ConditionId.NOT_FINE_TUNED
    noise, damaged = (Condition(id=id_, summary="") for id_ in ids)
    plain = replace(timed(unlabelled(FP32, 0.2), 1000.0), conditions=(noise,))
    pruned = replace(timed(unlabelled(INT8, 0.2), 100.0), conditions=(noise, damaged))
    best = ranked(plain, pruned).best
    assert best is not None
    assert best.cell == FP32
    assert ranked(pruned).best is None


def test_a_cell_of_unknown_quality_does_not_win_over_a_judged_one() -> None:
    fast = replace(measurement(INT8, launches=5), accuracy=None, fidelity=None, artifact=None)
    ranking = ranked(measurement(FP32, launches=5), fast)
    assert ranking.best is not None
    assert ranking.best.cell == FP32


def test_nothing_is_shipped_when_every_file_is_worse() -> None:
    ranking = ranked(answered(INT8, range(500), 1000), answered(DYNAMIC, range(600), 1000))
    assert ranking.best is None
    assert advise(ranking).headline == (
        "Nothing can be recommended: every file of digits is shown to be worse than the float model."
    )


def test_where_nothing_is_shown_to_be_good_the_closest_file_is_named() -> None:
    ranking = ranked(answered(INT8, (1,), 20, 9.0), answered(DYNAMIC, (2,), 20, 12.0))
    assert ranking.best is None
    headline = advise(ranking).headline
    assert headline.startswith("Nothing can be recommended: no file of digits is shown to be good enough.")
    assert "The closest to the float model is int8-dynamic tflite" in headline


def test_on_a_desktop_cpu_latency_of_int8_is_not_ranked() -> None:
    ranking = rankings(host_run())[0]
    assert (ranking.latency_ranked, ranking.best) == (False, None)
    assert {v.cell.variant for v in ranking.candidates} == {"fp32"}
    assert [key.split("-")[1] for key in ranking.front] == ["fp32"]
    advice = advise(ranking)
    assert advice.headline.startswith("Of the smallest files, the closest to the float model is int8-dynamic onnx")
    assert any("measure on a phone" in note for note in advice.general)
    assert any("--profile standard" in note for note in advice.general)


def test_a_desktop_cpu_ships_nothing_even_with_fp32_alone() -> None:
    desktop = cells()[0]
    assert ranked(measurement(desktop, conditions=(DESKTOP,))).best is None


@pytest.mark.parametrize(
    ("variant", "count", "words"),
    [
        ("fp32", 1, "Here, fp32 pte takes 41.1 µs per call."),
        ("as-is", 1, "Here, as-is pte takes 41.1 µs per call."),
        ("fp32", 2, "Among the fp32 files, fp32 tflite is the fastest here (18.6 µs)."),
        ("as-is", 2, "Of these files, as-is tflite is the fastest here (18.6 µs)."),
    ],
)
def test_a_desktop_cpu_ranks_only_what_it_may(variant: str, count: int, words: str) -> None:
    planned = tuple(replace(cell, variant=variant) for cell in cells() if cell.variant == "fp32")[:count]
    measured = tuple(measurement(cell, conditions=(DESKTOP,)) for cell in cells() if cell.variant == "fp32")[:count]
    assert words in advise(rankings(make_run(planned, measured))[0]).notes


def test_a_phone_gets_a_plain_recommendation() -> None:
    ranking = rankings(phone_run())[0]
    assert ranking.best is not None
    assert (ranking.best.cell.variant, ranking.best.cell.format.value) == ("int8", "tflite")
    advice = advise(ranking)
    assert advice.headline.startswith("Ship int8 tflite: 11.8 µs per call, 1.6× as fast as the fastest fp32")
    assert advice.general == ()


def test_front_is_fastest_first_and_leaves_out_what_is_beaten() -> None:
    wrong = {FP32: range(10), FP16: range(20), INT8: range(15)}
    ranking = ranked(*(answered(cell, inputs, 1000) for cell, inputs in wrong.items()))
    assert ranking.front == (INT8.key, FP32.key)


@pytest.mark.parametrize(
    ("median_ns", "low_ns", "tied"), [(1020.0, 1010.0, True), (1100.0, 1005.0, True), (1100.0, 1050.0, False)]
)
def test_only_intervals_that_are_apart_make_a_difference_in_speed(median_ns: float, low_ns: float, tied: bool) -> None:
    fp32 = timed(measurement(FP32, launches=5), 1000.0, 990.0, 1010.0)
    ranking = ranked(fp32, timed(measurement(FP16, launches=5), median_ns, low_ns, 1200.0))
    # The fp16 file is half as large, so it is the better one where the speed does not decide.
    assert ranking.best is not None
    assert (ranking.best.cell, [v.cell for v in ranking.as_fast]) == ((FP16, [FP32]) if tied else (FP32, []))


@pytest.mark.parametrize(("median_ns", "shipped"), [(1150.0, FP16), (1300.0, FP32)])
def test_one_launch_per_cell_decides_only_beyond_what_launches_differ_by(median_ns: float, shipped: Cell) -> None:
    ranking = ranked(timed(measurement(FP32), 1000.0), timed(measurement(FP16), median_ns))
    assert ranking.best is not None
    assert ranking.best.cell == shipped


def threads_of(cell: Cell, threads: int) -> Cell:
    return replace(cell, threads=threads, key=f"{cell.key}-{threads}")


@pytest.mark.parametrize("variant", ["as-is", "fp32"])
def test_a_single_file_is_not_compared_with_itself_whatever_it_runs_on(variant: str) -> None:
    planned = [replace(threads_of(cells()[8], threads), variant=variant) for threads in (1, 2, 4)]
    measured = [replace(measurement(cells()[8], conditions=(DESKTOP,)), cell=cell.key) for cell in planned]
    run = make_run(tuple(planned), tuple(measured), facts=replace(FACTS, float_correct=None))
    advice = advise(rankings(run)[0])
    assert advice.headline.startswith(f"There is one file and nothing to choose from: {variant} onnx, 75.9 kB")
    assert not any("smallest" in text for text in (advice.headline, *advice.notes))
    assert any(note.startswith(f"It is the fastest here as {variant} onnx 1 thread") for note in advice.notes)
    assert not any("lose" in note for note in advice.notes)


def test_six_models_have_a_short_answer_in_which_every_sentence_names_its_model() -> None:
    names = [f"net{number}" for number in range(6)]
    planned = [cell for name in names for cell in cells(model=name)]
    measured = [measurement(c, conditions=(DESKTOP,)) for c in planned]
    run = make_run(tuple(planned), tuple(measured), device=HOST)
    texts = [line.text for line in advice_lines(report_of(run))]
    assert len(texts) <= 14
    about_one = [text for text in texts if not text.startswith(("  To find the fastest", "  This is a first look"))]
    assert len(texts) - len(about_one) == 2, "what holds for all is said once"
    assert all(any(f"{name}: " in text for name in names) for text in about_one)


@pytest.mark.parametrize(("low_ns", "why"), [(None, "one launch per cell gives no interval"), (900, "are short")])
def test_a_first_look_does_not_deny_an_interval_that_is_shown(low_ns: int | None, why: str) -> None:
    cell = cells()[0]
    done = measurement(cell)
    assert done.latency is not None
    done = replace(done, latency=replace(done.latency, low_ns=low_ns, high_ns=low_ns))
    texts = [line.text for line in advice_lines(report_of(make_run((cell,), (done,), device=HOST)))]
    assert [why in text for text in texts if "first look" in text] == [True]


def test_a_sentence_about_a_file_does_not_speak_of_threads() -> None:
    planned = [threads_of(cell, threads) for cell in (FP32, INT8) for threads in (1, 4)]
    measured = [
        replace(answered(FP32, (), 100, 131.0) if i < 2 else answered(INT8, (), 100, 9.0), cell=cell.key)
        for i, cell in enumerate(planned)
    ]
    advice = advise(rankings(make_run(tuple(planned), tuple(measured), device=PHONE))[0])
    assert "Not shown to be good enough, so not recommended: int8 tflite (SQNR 9.0 dB)." in advice.notes
    assert advice.headline.startswith("Ship fp32 tflite ")
    assert "thread" in advice.headline


def test_many_files_of_one_outcome_are_counted() -> None:
    planned = [
        make_cell("digits", f"int8-{i}", Format.ONNX, Delegate.CPU, 1, PHONE.key, ProfileName.QUICK) for i in range(9)
    ]
    measured = [replace(answered(INT8, range(200), 1000), cell=cell.key) for cell in planned]
    ranking = rankings(make_run(tuple(planned), tuple(measured), device=PHONE))[0]
    lost = next(note for note in advise(ranking).notes if note.startswith("Left out"))
    assert lost.endswith("int8-0 onnx, int8-1 onnx, int8-2 onnx, int8-3 onnx and 5 more.")


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


SOFTWARE_GPU = Condition(id=ConditionId.SOFTWARE_GPU, summary="the GPU is SwiftShader, which runs on the processor")


def test_a_cell_on_a_gpu_imitated_in_software_is_never_recommended_however_fast() -> None:
    slow, fast = (timed(answered(cell, (), 360), ns, ns - 1, ns + 1) for cell, ns in ((FP32, 2e6), (INT8, 1e6)))
    imitated = sized(replace(fast, conditions=(SOFTWARE_GPU,)), 10)
    ranking = ranked(sized(slow, 100), imitated)
    assert (ranking.best, ranking.smallest) == (ranking.ok[0], ranking.ok[0])
    assert imitated.cell not in ranking.front
    assert not ranking.is_ranked(ranking.ok[1])
    advice = advise(ranking)
    assert advice.headline.startswith("Ship fp32")
    assert "Left out because their GPU is imitated in software: int8 tflite." in advice.notes


def test_nothing_is_recommended_where_only_an_imitated_gpu_keeps_the_quality() -> None:
    imitated = replace(answered(FP32, (), 360), conditions=(SOFTWARE_GPU,))
    ranking = ranked(imitated, answered(INT8, range(200), 360))
    assert (ranking.best, ranking.smallest, ranking.candidates) == (None, None, ())
    assert "ran only on a GPU that is imitated in software" in advise(ranking).headline
