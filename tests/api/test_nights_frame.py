"""A history as frames: made-up nights with a step whose place and size the test chose."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness
from harness.errors import PhonebenchError, UsageError
from harness.history.database import open_history
from harness.history.ingest import append
from tests.history.nights import OTHER_CELL, SERIES, entry, failed_entry, run_facts


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Forty nights around 100 µs, a night that failed, and forty around 120 µs."""
    path = tmp_path / "history.sqlite"
    with open_history(str(path), create=True) as history:
        for night in range(81):
            level = 100_000 if night < 40 else 120_000
            wobble = (night * 7 % 5 - 2) * 150
            own = failed_entry() if night == 40 else entry(level + wobble)
            append(history, run_facts(night), [own, entry(50_000 + wobble, cell=OTHER_CELL)])
    return path


def test_the_series_are_listed_with_their_units(place: Path) -> None:
    series = harness.load_history(place).series
    assert sorted(series["name"]) == sorted([SERIES.name, f"{OTHER_CELL.key}/latency"])
    assert set(series["unit"]) == {"ns"}
    assert set(series["polarity"]) == {"lower is better"}


def test_the_nights_of_a_series_have_their_levels(place: Path) -> None:
    nights = harness.load_history(results=place.parent).nights("int8")
    assert len(nights) == 81
    assert list(nights["night"]) == sorted(nights["night"])
    assert list(nights["status"]).index("failed") == 40
    measured = nights.dropna(subset=["value"])
    assert list(measured["level"]) == [0] * 40 + [1] * 40
    assert measured.groupby("level")["value"].median().to_dict() == {0: 100_000, 1: 120_000}
    assert set(measured["level_median"]) == {100_000, 120_000}
    (change,) = nights.dropna(subset=["change"]).itertuples()
    assert (change.night, change.change) == (nights["night"][41], "suspected")
    assert change.ratio == pytest.approx(1.2, abs=0.005)


def test_what_is_not_there_is_a_sentence(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'nope' is not a series"):
        harness.load_history(place).nights("nope")
    with pytest.raises(PhonebenchError, match="there is no history"):
        _ = harness.load_history(tmp_path / "none.sqlite").series
