"""Common shifts of a night: which group is the cause, what changed with it, and which of its files to compare."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.history.records import HistoryEntry, Series
from harness.wire import Format
from harness.workflows.nightly.common import Cause, find_causes
from harness.workflows.nightly.record import GroupKind
from harness.workflows.nightly.screening import SeriesHistory
from tests.history.nights import PHONE, run_facts
from tests.workflows.nightly.made import past, series, value

NIGHTS = 20


def causes(values: dict[Series, HistoryEntry], shifts: dict[int, float] | None = None) -> tuple[Cause, ...]:
    """The common shifts of ``values`` after twenty level nights but for ``shifts``."""
    histories = {one.name: SeriesHistory(nights=past(one, NIGHTS, shifts=shifts), decisions=()) for one in values}
    return find_causes(histories, {one.name: made for one, made in values.items()}, run_facts(NIGHTS))


def slow(count: int, factor: float = 1.08, **facts: object) -> dict[Series, HistoryEntry]:
    """Series of one phone that are all slower tonight."""
    return {series(i): value(series(i), factor, night=NIGHTS, **facts) for i in range(count)}  # type: ignore[arg-type]


def test_a_whole_phone_is_one_cause() -> None:
    (cause,) = causes(slow(12))
    shift = cause.shift
    assert (shift.kind, shift.name, shift.series) == (GroupKind.DEVICE, "fake", 12)
    assert shift.ratio == pytest.approx(1.08, abs=0.02)
    assert shift.worse
    assert shift.since == run_facts(NIGHTS).name
    assert cause.told
    # The files are last night's, so there is nothing to compare.
    assert cause.sample == ()


def test_new_files_are_sampled() -> None:
    (cause,) = causes(slow(12, file="bb"))
    assert len(cause.sample) == len(set(cause.sample)) == 5
    assert set(cause.sample) <= set(cause.members)


@pytest.mark.parametrize("factor", [1.0, 1.02])
def test_a_level_night_has_no_cause(factor: float) -> None:
    assert causes(slow(12, factor)) == ()


def test_a_few_regressions_are_no_cause() -> None:
    assert causes(slow(12, 1.0) | slow(5, 1.5)) == ()


def test_of_two_phones_only_the_slow_one_is_the_cause() -> None:
    level = {series(i, device="fake:b"): value(series(i, device="fake:b"), night=NIGHTS) for i in range(6)}
    (cause,) = causes(slow(20) | level)
    assert (cause.shift.kind, cause.shift.name) == (GroupKind.DEVICE, "fake")


def test_if_all_phones_are_slow_the_farm_is_the_cause() -> None:
    others = {series(i, device="fake:b"): value(series(i, device="fake:b"), 1.08, night=NIGHTS) for i in range(6)}
    (cause,) = causes(slow(20) | others)
    assert (cause.shift.kind, cause.shift.series) == (GroupKind.FARM, 26)


def test_of_two_runtimes_on_a_phone_only_the_slow_one_is_the_cause() -> None:
    other = replace(PHONE, runtime="litert")
    fast = {series(i, format_=Format.TFLITE): value(series(i, format_=Format.TFLITE), night=NIGHTS) for i in range(6)}
    fast = {one: replace(made, environment=other) for one, made in fast.items()}
    (cause,) = causes(slow(20) | fast)
    assert (cause.shift.kind, cause.shift.name) == (GroupKind.RUNTIME, "onnxruntime")


def test_a_new_system_is_named() -> None:
    (cause,) = causes(slow(12, environment=replace(PHONE, os_build="16.0")))
    assert len(cause.shift.changed) == 1
    assert cause.shift.changed[0].startswith("system ")
    assert "16.0" in cause.shift.changed[0]


def test_conditions_that_are_new_tonight_are_named() -> None:
    hot = {one: replace(made, conditions=("THERMAL",)) for one, made in slow(12).items()}
    (cause,) = causes(hot)
    assert cause.shift.changed == ("condition THERMAL",)


def test_a_shift_that_passed_before_is_told_once_it_lasts() -> None:
    (again,) = causes(slow(12), {9: 1.10})
    assert not again.told
    (lasting,) = causes(slow(12), {9: 1.10, 18: 1.08, 19: 1.08})
    assert lasting.told
    assert lasting.shift.lasting
    assert lasting.shift.since == run_facts(18).name
