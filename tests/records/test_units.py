"""Numbers formatted for people."""

from __future__ import annotations

import pytest

from harness.records import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (0.01234, "0.0123"), (9.996, "10.0")]
    + [(99.96, "100"), (0.9996, "1.00"), (-2.5, "-2.50"), (12345.6, "12\u202f346")],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert units.significant(value) == text


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [(850, "850 ns"), (41_086.5, "41.1 µs"), (1_234_567, "1.23 ms"), (2.5e9, "2.50 s"), (None, "–")],
)
def test_a_time_has_the_unit_that_suits_it(value_ns: float | None, text: str) -> None:
    assert units.time(value_ns) == text


@pytest.mark.parametrize(
    ("value_bytes", "text"), [(22_011, "22.0 kB"), (3 << 20, "3.00 MiB"), (8 << 30, "8.00 GiB"), (None, "–")]
)
def test_a_size_has_the_unit_that_suits_it(value_bytes: float | None, text: str) -> None:
    assert units.size(value_bytes) == text


def test_a_column_has_one_unit_chosen_from_its_middle() -> None:
    unit = units.time_unit([20_000, 30_000, None, 5_000_000])
    assert [unit.show(v) for v in (20_000, 5_000_000, None)] == ["20.0", "5\u202f000", "–"]


@pytest.mark.parametrize(("value", "text"), [(200.0, "exact"), (27.46, "27.5"), (None, "–"), (-3.0, "-3.0")])
def test_decibels(value: float | None, text: str) -> None:
    assert units.decibels(value) == text


def test_a_stamp_is_short() -> None:
    assert units.stamp("2026-11-23T01:42:07Z") == "2026-11-23 01:42 UTC"
