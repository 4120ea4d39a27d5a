"""Two stored runs compared: the verdict on each metric."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from harness.compare.runs import Comparison, compare_runs
from harness.compare.speed import is_slower, range_of
from harness.compare.words import comparison_json
from harness.plan.cells import make_cell
from harness.records.measurement import CellStatus, Measurement, TaskScores
from harness.records.metrics import ACCURACY, ERROR, LATENCY, PEAK_MEMORY, SCORE, SIZE
from harness.spec.profiles import ProfileName
from harness.stats.verdicts import Verdict
from harness.wire import Delegate, Format
from tests.compare.timed_runs import CELL, LEVEL, Change, a_run, timed
from tests.report.builders import PHONE, accuracy_of, broken, failed, latency_of, make_run, measurement


def compared(change: Change, **margins: float) -> dict[str, Verdict]:
    (cell,) = compare_runs(a_run(), a_run(change), margins).cells
    return {m.metric: m.verdict for m in cell.metrics}


def test_the_same_run_twice_is_equivalent_in_everything() -> None:
    found = compare_runs(a_run(), a_run())
    assert {m.verdict for m in found.cells[0].metrics} == {Verdict.EQUIVALENT}
    assert found.verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.10, Verdict.REGRESSED), (0.90, Verdict.IMPROVED), (1.005, Verdict.EQUIVALENT), (1.025, Verdict.REGRESSED)],
)
def test_latency_is_compared_by_launches(factor: float, verdict: Verdict) -> None:
    assert compared(lambda m: timed(m, [factor * us for us in LEVEL]))[LATENCY.name] is verdict


def test_figures_change_and_interval_are_about_the_same_launches() -> None:
    slower = [108.0, 103.0, 102.0, 104.0, 103.5]
    (cell,) = compare_runs(a_run(), a_run(lambda m: timed(m, slower))).cells
    latency = cell.metrics[0]
    assert latency.change == pytest.approx(latency.b / latency.a - 1)
    assert (latency.low or 0) < latency.change < (latency.high or 0)


# A row once read: A 1.081, B 1.064, change +140.7 %.
TWO_SPEEDS = [108.0, 108.3, 107.9, 760.0, 761.0, 759.0, 108.1]


def test_launches_at_two_speeds_support_no_ratio() -> None:
    before = a_run(lambda m: timed(m, [*LEVEL, 100.2, 99.8]))
    (cell,) = compare_runs(before, a_run(lambda m: timed(m, TWO_SPEEDS))).cells
    latency = cell.metrics[0]
    assert (latency.verdict, latency.low, latency.p_value) == (Verdict.UNDECIDED, None, None)
    assert latency.change == pytest.approx(latency.b / latency.a - 1)
    assert latency.b == pytest.approx(108_000, rel=0.01)
    assert "B ran at 2 speeds (0.1081 ms in 4 launches, 0.76 ms in 3)" in (latency.reason or "")


def test_launches_at_two_speeds_are_not_faster_than_what_lies_between() -> None:
    two = range_of(latency_of([[round(1000 * us)] * 3 for us in TWO_SPEEDS]))
    one = range_of(latency_of([[round(1000 * us)] * 3 for us in (400.0, 401.0, 399.0, 400.5, 399.5)]))
    assert (two.low_ns, two.high_ns) == pytest.approx((108_075, 760_000), rel=0.001)
    assert not is_slower(one, two)


def test_one_slow_launch_of_ten_neither_calls_nor_hides_a_difference() -> None:
    level = [100.0, 100.6, 99.4, 100.3, 99.7, 100.9, 99.1, 100.1, 99.9]
    one_bad, plain = [*level, 150.0], [*level, 100.2]

    def verdict(factor: float) -> Verdict:
        before, after = (lambda m: timed(m, plain)), (lambda m: timed(m, [factor * us for us in one_bad]))
        return first_latency(compare_runs(a_run(before), a_run(after)))

    assert verdict(1.0) is Verdict.EQUIVALENT
    assert verdict(1.05) is Verdict.REGRESSED


@pytest.mark.parametrize("launches", [2, 5])
def test_one_tick_of_a_coarse_clock_is_no_difference(launches: int) -> None:
    before, after = ([1000.0 * ticks] * launches for ticks in (20, 21))
    found = compare_runs(a_run(lambda m: timed(m, before)), a_run(lambda m: timed(m, after)))
    assert first_latency(found) is Verdict.UNDECIDED


def test_a_coarse_clock_counts_where_the_medians_of_launches_do_not_show_it() -> None:
    def slower(step: float) -> Change:
        def change(found: Measurement) -> Measurement:
            found = timed(found, [1.04 * us for us in LEVEL])
            assert found.latency is not None
            return replace(found, latency=replace(found.latency, clock_step=step))

        return change

    assert compared(slower(0.0))[LATENCY.name] is Verdict.REGRESSED
    assert compared(slower(0.05))[LATENCY.name] is Verdict.UNDECIDED


def test_figures_of_earlier_versions_are_computed_again_from_their_launches() -> None:
    def old(found: Measurement) -> Measurement:
        assert found.latency is not None
        return replace(found, latency=replace(found.latency, median_ns=150_000.0))

    (cell,) = compare_runs(a_run(), a_run(old)).cells
    assert (cell.metrics[0].verdict, cell.metrics[0].change) == (Verdict.EQUIVALENT, 0.0)
    assert cell.metrics[0].b == pytest.approx(100_000, rel=0.001)


def test_a_given_margin_replaces_the_tolerance() -> None:
    slower = [1.10 * us for us in LEVEL]
    assert compared(lambda m: timed(m, slower), latency=0.2)[LATENCY.name] is Verdict.EQUIVALENT


def test_noisy_launches_are_undecided() -> None:
    assert compared(lambda m: timed(m, [90.0, 120.0, 95.0, 110.0, 104.0]))[LATENCY.name] is Verdict.UNDECIDED


def test_tainted_launches_do_not_count() -> None:
    medians = [*LEVEL, 300.0]
    assert compared(lambda m: timed(m, medians, tainted=(5,)))[LATENCY.name] is Verdict.EQUIVALENT


def test_a_cell_without_a_good_launch_is_undecided() -> None:
    def all_bad(found: Measurement) -> Measurement:
        assert found.latency is not None
        return replace(timed(found, LEVEL), latency=replace(found.latency, tainted=True))

    assert compared(all_bad)[LATENCY.name] is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("profile", "launches", "words"),
    [
        (ProfileName.QUICK, 5, "indicative"),
        (ProfileName.MLPERF, 3, "5 good launches"),
        (ProfileName.STANDARD, 1, "two"),
    ],
)
def test_a_profile_that_supports_no_claim_is_undecided(profile: ProfileName, launches: int, words: str) -> None:
    cell = make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, 1, PHONE.key, profile)
    runs = [a_run(lambda m, f=f: timed(m, [f * us for us in LEVEL[:launches]]), cell=cell) for f in (1.0, 1.5)]  # type: ignore[misc]
    latency = compare_runs(runs[0], runs[1]).cells[0].metrics[0]
    assert latency.verdict is Verdict.UNDECIDED
    assert words in (latency.reason or "")


def grown(peak: int, launches: int = 5) -> Change:
    def change(found: Measurement) -> Measurement:
        assert found.memory is not None
        assert found.memory.peak_bytes is not None
        memory = replace(found.memory, peak_bytes=found.memory.peak_bytes + peak)
        return replace(found, memory=memory, launches=found.launches[:launches])

    return change


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (grown(1 << 19), Verdict.EQUIVALENT),
        (grown(3 << 20), Verdict.REGRESSED),
        (grown(-(3 << 20)), Verdict.IMPROVED),
        (grown(3 << 20, launches=2), Verdict.UNDECIDED),
    ],
)
def test_memory_has_a_tolerance(change: Change, verdict: Verdict) -> None:
    assert compared(change)[PEAK_MEMORY.name] is verdict


def held(*growths_mib: float, stored: bool = True) -> Change:
    """Launches with these peaks over a baseline of 100 MiB; ``stored`` as today, else the highest alone."""

    def change(found: Measurement) -> Measurement:
        assert found.memory is not None
        growths = [round(mib * 2**20) for mib in growths_mib]
        value = sorted(growths)[(len(growths) - 1) // 2] if stored else max(growths)
        memory = replace(found.memory, baseline_bytes=100 << 20, peak_bytes=(100 << 20) + value)
        summaries = tuple(
            replace(found.launches[0], index=i, memory_growth_bytes=growth if stored else None)
            for i, growth in enumerate(growths)
        )
        return replace(found, memory=memory, launches=summaries)

    return change


FLICKERING = [40.0, 41.0, 39.0, 43.0, 40.5]
LONGER = [*FLICKERING, 46.0, 40.2, 39.8, 44.0, 41.5, 40.7, 39.5, 47.0, 40.1, 42.0]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        # The highest of fifteen launches is higher than the highest of five; the middle ones are alike.
        (held(*FLICKERING), held(*LONGER), Verdict.EQUIVALENT),
        (held(*FLICKERING), held(*(x + 8 for x in LONGER)), Verdict.REGRESSED),
        (held(*FLICKERING), held(*(x - 8 for x in LONGER)), Verdict.IMPROVED),
        # 2 MiB is more than 1 %, but launches differ by as much.
        (held(*FLICKERING), held(42.9, 43.2, 40.1, 39.5, 43.1), Verdict.UNDECIDED),
        # Three launches that all read the same are enough, three that overlap or nearly do are not.
        (held(40, 40, 40), held(44, 44, 44), Verdict.REGRESSED),
        (held(40, 41, 42), held(43, 45, 46), Verdict.UNDECIDED),
        # What earlier versions stored: the highest, for equal counts; the highest of as many of today's launches.
        (held(*FLICKERING, stored=False), held(*LONGER, stored=False), Verdict.UNDECIDED),
        (held(*FLICKERING, stored=False), held(*(x + 8 for x in FLICKERING), stored=False), Verdict.REGRESSED),
        (held(*FLICKERING, stored=False), held(*LONGER), Verdict.EQUIVALENT),
        (held(*LONGER, stored=False), held(*FLICKERING), Verdict.UNDECIDED),
    ],
)
def test_memory_is_compared_over_launches(before: Change, after: Change, verdict: Verdict) -> None:
    (cell,) = compare_runs(a_run(before), a_run(after)).cells
    (memory,) = [m for m in cell.metrics if m.metric == PEAK_MEMORY.name]
    assert memory.verdict is verdict
    assert memory.change == pytest.approx(memory.b / memory.a - 1)


def test_memory_of_another_definition_is_not_compared() -> None:
    def change(found: Measurement) -> Measurement:
        assert found.memory is not None
        return replace(found, memory=replace(found.memory, definition="PSS"))

    assert compared(change)[PEAK_MEMORY.name] is Verdict.NOT_COMPARABLE


def bytes_of(size: int) -> Change:
    def change(found: Measurement) -> Measurement:
        assert found.artifact is not None
        return replace(found, artifact=replace(found.artifact, bytes=size))

    return change


def test_a_larger_file_is_a_regression() -> None:
    assert compared(bytes_of(100_000))[SIZE.name] is Verdict.REGRESSED


@pytest.mark.parametrize(
    ("lost", "verdict"), [(0, Verdict.EQUIVALENT), (5, Verdict.EQUIVALENT), (60, Verdict.REGRESSED)]
)
def test_accuracy_is_compared_input_by_input(lost: int, verdict: Verdict) -> None:
    def with_lost(number: int) -> Change:
        return lambda m: replace(m, accuracy=accuracy_of(2000 - number, 2000))

    cell = compare_runs(a_run(with_lost(0)), a_run(with_lost(lost))).cells[0]
    (found,) = [m for m in cell.metrics if m.metric == ACCURACY.name]
    assert found.verdict is verdict
    assert found.change == -lost / 2000


# Eight of 2,000 are significant (p = 2 / 256), but less than the one point that matters.
@pytest.mark.parametrize(("won", "verdict"), [(60, Verdict.IMPROVED), (8, Verdict.EQUIVALENT)])
def test_winning_inputs_counts_only_if_it_matters(won: int, verdict: Verdict) -> None:
    before = a_run(lambda m: replace(m, accuracy=accuracy_of(1900, 2000)))
    after = a_run(lambda m: replace(m, accuracy=accuracy_of(1900 + won, 2000)))
    (found,) = [m for m in compare_runs(before, after).cells[0].metrics if m.metric == ACCURACY.name]
    assert (found.verdict, found.reason) == (verdict, f"0 inputs lost, {won} won of 2000")


@pytest.mark.parametrize(
    ("step", "count", "verdict"),
    [
        (0.0, 100, Verdict.EQUIVALENT),
        (-2.0, 100, Verdict.REGRESSED),
        (2.0, 100, Verdict.IMPROVED),
        # Nine inputs have no interval, but equal scores need none.
        (-2.0, 9, Verdict.UNDECIDED),
        (0.0, 9, Verdict.EQUIVALENT),
    ],
)
def test_a_folders_own_metric_is_compared_in_pairs(step: float, count: int, verdict: Verdict) -> None:
    def scored(by: float) -> Change:
        scores = tuple(30.0 + i % 10 + by for i in range(count))
        mean = sum(scores) / count
        return lambda m: replace(
            m, scores=TaskScores(metric="psnr", value=mean, low=0, high=0, count=count, scores=scores)
        )

    cell = compare_runs(a_run(scored(0.0)), a_run(scored(step))).cells[0]
    assert [m.verdict for m in cell.metrics if m.metric == SCORE.name] == [verdict]


def test_outputs_that_became_garbage_are_a_regression_and_a_crash_is_not() -> None:
    ok = a_run()
    bad, crashed = make_run((CELL,), (broken(CELL),)), make_run((CELL,), (failed(CELL),))
    assert compare_runs(ok, bad).verdict is Verdict.REGRESSED
    assert compare_runs(ok, crashed).verdict is Verdict.NOT_COMPARABLE
    assert compare_runs(bad, ok).verdict is Verdict.NOT_COMPARABLE


def test_among_many_cells_one_small_p_is_chance() -> None:
    many = [
        make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, t, PHONE.key, ProfileName.STANDARD) for t in range(1, 41)
    ]
    base = [timed(measurement(c, launches=5), LEVEL) for c in many]
    wide = [100.0, 104.0, 96.0, 102.0, 98.0]
    noisy = [timed(m, wide) for m in base]
    moved = [timed(base[0], [1.09 * us for us in wide]), *noisy[1:]]
    alone = compare_runs(make_run(many[:1], noisy[:1], device=PHONE), make_run(many[:1], moved[:1], device=PHONE))  # type: ignore[arg-type]
    crowd = compare_runs(
        make_run(tuple(many), tuple(noisy), device=PHONE), make_run(tuple(many), tuple(moved), device=PHONE)
    )
    assert first_latency(alone) is Verdict.REGRESSED
    assert first_latency(crowd) is Verdict.UNDECIDED


def first_latency(found: Comparison) -> Verdict:
    return found.cells[0].metrics[0].verdict


def test_truncated_answers_are_not_compared() -> None:
    def cut(found: Measurement) -> Measurement:
        assert found.accuracy is not None
        return replace(found, accuracy=replace(found.accuracy, correct_bits="ff"))

    assert compared(cut)[ACCURACY.name] is Verdict.NOT_COMPARABLE


def test_json_has_every_value_and_the_verdict_first() -> None:
    shown = comparison_json(compare_runs(a_run(), a_run(lambda m: timed(m, [1.1 * us for us in LEVEL]))))
    assert (shown["schema"], shown["verdict"]) == (1, "regressed")
    latency = shown["cells"][0]["metrics"][0]
    assert latency["low"] < latency["change"] < latency["high"]
    assert latency["change"] == pytest.approx(0.1, abs=0.001)


def test_zero_times_are_not_trusted() -> None:
    (cell,) = compare_runs(a_run(), a_run(lambda m: timed(m, [0.0, *LEVEL[1:]]))).cells
    assert cell.metrics[0].verdict is Verdict.UNDECIDED
    assert "clock" in (cell.metrics[0].reason or "")


def test_a_cell_that_has_not_run_is_not_comparable() -> None:
    (cell,) = compare_runs(a_run(), make_run((CELL,), ())).cells
    assert (cell.verdict, cell.reason) == (Verdict.NOT_COMPARABLE, f"A: {CellStatus.OK}; B: not run")


def with_scores(value: float, **facts: Any) -> Change:
    """A metric of all inputs at once, whose replicates are ``value`` plus those in ``noise``."""
    noise = facts.pop("noise", [0.01 * math.sin(i) for i in range(200)])
    scores = TaskScores(
        metric="WER", value=value, low=None, high=None, count=100, scores=(), corpus=True,
        replicates=tuple(value + one for one in noise), **facts,
    )  # fmt: skip
    return lambda m: replace(m, scores=scores)


@pytest.mark.parametrize(
    ("change", "verdict"),
    # The draws are the same on both sides, so that their noise cancels; 0.03 is three times the tolerance.
    [(0.0, Verdict.EQUIVALENT), (0.03, Verdict.REGRESSED), (-0.03, Verdict.IMPROVED), (0.004, Verdict.EQUIVALENT)],
)
def test_an_error_rate_of_all_inputs_is_compared_draw_by_draw(change: float, verdict: Verdict) -> None:
    facts: dict[str, Any] = {"higher_is_better": False, "tolerance": 0.01}
    wobble = [0.01 * math.sin(i) + 0.001 * math.cos(7 * i) for i in range(200)]
    (cell,) = compare_runs(
        a_run(with_scores(0.20, **facts)), a_run(with_scores(0.20 + change, noise=wobble, **facts))
    ).cells
    assert {m.metric: m.verdict for m in cell.metrics if m.metric in (SCORE.name, ERROR.name)} == {ERROR.name: verdict}


def test_scores_of_different_metrics_are_not_compared() -> None:
    def renamed(found: Measurement) -> Measurement:
        found = with_scores(0.2)(found)
        assert found.scores is not None
        return replace(found, scores=replace(found.scores, metric="CER"))

    (cell,) = compare_runs(a_run(with_scores(0.2)), a_run(renamed)).cells
    assert SCORE.name not in [m.metric for m in cell.metrics]


def test_equal_scores_need_no_draws() -> None:
    few = with_scores(0.2, noise=[0.0] * 5)
    (cell,) = compare_runs(a_run(few), a_run(few)).cells
    assert [m.verdict for m in cell.metrics if m.metric == SCORE.name] == [Verdict.EQUIVALENT]


def test_too_few_draws_decide_nothing() -> None:
    few = [0.0] * 5
    (cell,) = compare_runs(a_run(with_scores(0.2, noise=few)), a_run(with_scores(0.3, noise=few))).cells
    (found,) = [m for m in cell.metrics if m.metric == SCORE.name]
    assert (found.verdict, found.low) == (Verdict.UNDECIDED, None)


def batch(right: list[int]) -> Change:
    """Inputs with four answers each, of which ``right`` are right."""
    return lambda m: replace(
        m,
        accuracy=replace(
            accuracy_of(sum(right), 4 * len(right)), correct_bits="", right=tuple(right), asked=(4,) * len(right)
        ),
    )


def test_answers_of_batches_and_of_single_inputs_are_not_compared() -> None:
    single = a_run(lambda m: replace(m, accuracy=accuracy_of(140, 160)))
    (cell,) = compare_runs(single, a_run(batch([4, 3] * 20))).cells
    assert ACCURACY.name not in [m.metric for m in cell.metrics]


def test_answers_of_a_batch_are_compared_by_input() -> None:
    (cell,) = compare_runs(a_run(batch([4, 3] * 20)), a_run(batch([1, 0] * 20))).cells
    (found,) = [m for m in cell.metrics if m.metric == ACCURACY.name]
    assert (found.verdict, found.change) == (Verdict.REGRESSED, -0.75)
