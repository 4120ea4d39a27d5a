"""Pages of a history: right, and no more work for years of nights than for a month. Plans are asked, not times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.errors import UsageError
from harness.history.browse import (
    Page,
    device_named,
    find_lines,
    list_devices,
    list_nights,
    newest_decisions,
    night_summary,
    sums,
)
from harness.history.database import History, open_history
from harness.history.ingest import append
from harness.history.records import NightStatus
from tests.history.nights import CELL, OTHER_CELL, PHONE, SERIES, entry, failed_entry, run_facts

NIGHTS = 40


@pytest.fixture
def history(where: str) -> Iterator[History]:
    """Forty nights of two series; the one on the last night is 1.5 times as slow, the other one failed."""
    with open_history(where, create=True) as opened:
        for night in range(NIGHTS - 1):
            append(opened, run_facts(night), [entry(1e6 + night), entry(2e6, cell=OTHER_CELL)])
        other = replace(failed_entry(), series=entry(1.0, cell=OTHER_CELL).series)
        append(opened, run_facts(NIGHTS - 1), [entry(1.5e6), other])
        # An older night that is added late is not the newest.
        append(opened, replace(run_facts(0), name="late"), [entry(9e6)])
        yield opened


def test_a_page_of_series_has_the_newest_good_value_of_each(history: History) -> None:
    (one, other), total = find_lines(history, "", Page())
    assert total == 2
    # fp32 comes before int8.
    assert (one.value, one.night, one.nights) == (2e6, run_facts(NIGHTS - 2).night, NIGHTS - 1)
    assert (other.value, other.night, other.nights) == (1.5e6, run_facts(NIGHTS - 1).night, NIGHTS + 1)
    assert (other.low, other.high) == (0.98 * 1.5e6, 1.02 * 1.5e6)
    lines, total = find_lines(history, "INT8 onnx", Page())
    assert ([line.name for line in lines], total) == ([SERIES.name], 1)
    assert find_lines(history, "", Page(first=1, size=1))[0] == (other,)
    assert find_lines(history, "", Page(first=2)) == ((), 2)


def test_nights_come_newest_first_whenever_they_were_added(history: History) -> None:
    lines, total = list_nights(history, Page(size=2))
    assert total == NIGHTS + 1
    assert [line.name for line in lines] == [run_facts(NIGHTS - 1).name, run_facts(NIGHTS - 2).name]
    last, _ = list_nights(history, Page(first=NIGHTS - 1, size=5))
    assert [line.name for line in last] == ["late", run_facts(0).name]


def test_a_night_shows_what_moved_against_the_seven_before(history: History) -> None:
    night = night_summary(history, run_facts(NIGHTS - 1).name)
    assert night.statuses == {NightStatus.OK: 1, NightStatus.FAILED: 1}
    (moved,) = night.moved
    # The values of nights 32 to 38 are 1,000,032 to 1,000,038 ns.
    assert (moved.nights, moved.mean, moved.low, moved.high) == (7, 1e6 + 35, 1e6 + 32, 1e6 + 38)
    assert night.failed == (f"{OTHER_CELL.key}/latency",)
    first = night_summary(history, run_facts(0).name).moved
    assert {(one.nights, one.mean) for one in first} == {(0, None)}
    with pytest.raises(UsageError, match="no night 'none'"):
        night_summary(history, "none")


def test_the_largest_change_comes_first_and_nothing_before_comes_last(where: str) -> None:
    factors = {"a": 1.01, "b": 0.5, "c": 1.2, "d": 1.0}
    named = {name: replace(SERIES, name=name) for name in (*factors, "new", "zero")}
    with open_history(where, create=True) as history:
        before = [replace(entry(1e6), series=named[name]) for name in factors]
        append(history, run_facts(0), [*before, replace(entry(0.0), series=named["zero"])])
        after = [replace(entry(1e6 * factor), series=named[name]) for name, factor in factors.items()]
        extra = [replace(entry(5.0), series=named[name]) for name in ("new", "zero")]
        append(history, run_facts(1), [*after, *extra])
        names = [moved.series for moved in night_summary(history, run_facts(1).name).moved]
        assert names == ["b", "c", "a", "d", "new", "zero"]
        assert [m.series for m in night_summary(history, run_facts(1).name, most=2).moved] == ["b", "c"]


def test_a_device_is_as_it_was_on_its_newest_night(where: str) -> None:
    with open_history(where, create=True) as history:
        assert list_devices(history) == ()
        gone = replace(SERIES, name="gone", device="android:gone")
        append(history, run_facts(0), [entry(1e6), replace(entry(1e6), series=gone)])
        append(history, run_facts(1), [entry(1e6, environment=replace(PHONE, os_build="16"))])
        one, other = list_devices(history)
        assert (one.key, one.series, one.night) == ("android:gone", 1, run_facts(0).night)
        assert (other.key, other.night) == (SERIES.device, run_facts(1).night)
        assert other.environment == replace(PHONE, os_build="16")
        assert device_named(history, "android:gone") == one
        assert device_named(history, "none") is None
        assert sums(history).devices == 2
        assert newest_decisions(history) == ()


def test_no_page_scans_the_values(tmp_path: Path) -> None:
    """Every query of every page goes through an index of the table of values, which has millions of rows."""
    path = tmp_path / "history.sqlite"
    asked: list[tuple[str, object]] = []
    with open_history(str(path), create=True) as history:
        append(history, run_facts(0), [entry(1e6), entry(2e6, cell=OTHER_CELL)])
        append(history, run_facts(1), [entry(1e6)])

        @sa.event.listens_for(history.engine, "before_cursor_execute")
        def note(_c: object, _d: object, statement: str, parameters: object, _x: object, _m: object) -> None:
            asked.append((statement, parameters))

        find_lines(history, "int8", Page())
        list_nights(history, Page())
        night_summary(history, run_facts(1).name)
        list_devices(history)
        device_named(history, CELL.device)
        newest_decisions(history)
        sums(history)
    queries = [pair for pair in asked if pair[0].lstrip().upper().startswith("SELECT")]
    assert len(queries) > 15
    with sqlite3.connect(path) as connection:
        for statement, parameters in queries:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]  # type: ignore[arg-type]
            assert not [step for step in plan if step.startswith("SCAN value")], statement
    connection.close()
