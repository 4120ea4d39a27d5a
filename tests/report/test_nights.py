"""The chart and the table of a series over nights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.history.figures import make_series
from harness.history.records import TAINTED, Decision, Figures, Latest
from harness.history.story import Story, tell
from harness.records.metric import Metric
from harness.records.metrics import ACCURACY, SCORE, SIZE
from harness.report.charts.nights import commit_range, is_tainted, nights_png, nights_svg, write_chart
from harness.report.formats.nights_text import latest_json, latest_rows, night_rows, story_json, summary_lines
from tests.history.nights import CELL, PHONE, SERIES, entry, failed_entry
from tests.history.test_history_story import LEVEL, decided, level, night


def story() -> Story:
    """A confirmed step on night 30, a new system on night 40, a failed night, a hot night."""
    hot = replace(entry(1.3e6), conditions=("SIMULATED", "THERMAL"))
    later = replace(PHONE, os_build="16.0")
    nights = level(30) + level(10, start=30, factor=1.2)
    nights += [night(i, entry(1.2e6 * LEVEL[i % 12], environment=later)) for i in range(40, 50)]
    nights += [night(50, failed_entry()), night(51, replace(hot, environment=later))]
    return tell(SERIES, nights, [decided(Decision.CONFIRMED, 30, 33)])


def test_the_chart_says_what_changed_and_what_was_swapped() -> None:
    svg = nights_svg(story())
    assert svg is not None
    for words in ("+20.0 % confirmed, c29..c30", "system: 15.1 → 16.0", SERIES.name, "latency, ms"):
        assert words in svg
    assert nights_svg(story()) == svg


def test_colour_is_for_confirmed_changes() -> None:
    worse, suspected = nights_svg(story()), nights_svg(tell(SERIES, level(30) + level(20, start=30, factor=1.2)))
    assert worse is not None
    assert suspected is not None
    assert "#d55e00" in worse
    assert "#d55e00" not in suspected
    assert "suspected" in suspected


@pytest.mark.parametrize(("name", "start"), [("chart.svg", b"<?xml"), ("chart.png", b"\x89PNG")])
def test_the_suffix_chooses_the_format_of_a_chart(tmp_path: Path, name: str, start: bytes) -> None:
    path = write_chart(story(), tmp_path / "new" / name)
    assert path is not None
    assert path.read_bytes().startswith(start)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'.gif'"):
        write_chart(story(), tmp_path / "chart.gif")


def test_a_series_without_a_value_has_no_chart(tmp_path: Path) -> None:
    empty = tell(SERIES, [night(0, failed_entry())])
    assert nights_svg(empty) is None
    assert nights_png(empty) is None
    assert write_chart(empty, tmp_path / "chart.svg") is None
    assert list(tmp_path.iterdir()) == []


def test_a_condition_of_every_night_taints_none() -> None:
    assert not is_tainted(night(0, replace(entry(1e6), conditions=("SIMULATED",))))
    assert is_tainted(story().nights[-1])
    assert is_tainted(night(0, replace(entry(1e6), conditions=("SIMULATED", TAINTED))))
    for name in ("THROTTLED", "LOW-POWER-MODE"):
        assert is_tainted(night(0, replace(entry(1e6), conditions=(name,))))


def test_rows_are_the_newest_nights_including_failed_ones() -> None:
    rows = night_rows(story(), last=3)
    assert [row[0] for row in rows] == ["2026-02-19", "2026-02-20", "2026-02-21"]
    assert rows[1][1:] == ("–", "–", "–", "c50", "failed")
    assert rows[2][-1] == "SIMULATED; THERMAL"
    assert rows[2][1] == "1.30 ms"


def test_the_lines_below_list_level_changes_and_swaps() -> None:
    level_line, change, swap = summary_lines(story())
    assert level_line == "level since 2026-02-10: 1.20 ms over 11 nights"
    assert "confirmed change for the worse by +20.0 % (+15.0 to +25.0 %), c29..c30" in change
    assert "system swapped: 15.1 → 16.0" in swap


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("aaaa", "bbbb", "aaaa..bbbb"),
        ("aaaa", "aaaa", "at aaaa"),
        (None, "bbbb", "at bbbb"),
        ("aaaa", None, "unknown"),
    ],
)
def test_the_range_of_commits(good: str | None, bad: str | None, words: str) -> None:
    change = replace(story().changes[0], last_good=good, first_bad=bad)
    assert words in commit_range(change)


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [(SIZE, 54_826.0, "54.8 kB"), (ACCURACY, 0.99, "99.0 %"), (SCORE, 35.2, "35.2")],
)
def test_each_metric_is_shown_in_its_unit(metric: Metric, value: float, shown: str) -> None:
    given = replace(entry(1.0), series=make_series(CELL, metric), figures=Figures(value=value))
    one = tell(given.series, [night(0, given)])
    assert night_rows(one, last=1)[0][1] == shown
    assert nights_svg(one) is not None


def test_json_holds_every_night() -> None:
    plain = story_json(story())
    assert plain["schema"] == 1
    assert len(plain["nights"]) == 51
    assert plain["changes"][0]["decision"] == "confirmed"
    assert plain["swaps"][0]["kind"] == "system"


def test_the_largest_differences_come_first() -> None:
    newest = Latest(
        night="2026-01-08",
        series=("a/latency", "b/size", "c/accuracy"),
        metric=("latency", "size", "accuracy"),
        unit=("ns", "bytes", "1"),
        value=(1.1e6, 2e6, 0.5),
        before=(7, 7, 0),
        mean=(1e6, 1e6, None),
        low=(0.9e6, 1e6, None),
        high=(1.2e6, 1e6, None),
    )
    rows = latest_rows(newest, most=3)
    assert [(row[0], row[-1]) for row in rows] == [
        ("b/size", "+100.0 %"),
        ("a/latency", "+10.0 %"),
        ("c/accuracy", "–"),
    ]
    assert rows[1][1:4] == ("1.10 ms", "1.00 ms", "900 µs to 1.20 ms")
    assert latest_json(newest)["series"][0]["mean"] == 1e6
    assert latest_json(None)["series"] == []
