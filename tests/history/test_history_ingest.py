"""What is added comes back unchanged, and once, from a file and from a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from harness.compare.keys import comparison_keys
from harness.errors import StoreError, UsageError
from harness.history.database import open_history
from harness.history.figures import entries_of
from harness.history.ingest import IngestCounts, append, decide, ingest, keep_artifact
from harness.history.queries import artifact_uri, decisions_of, find_series, latest, list_series, nights_of
from harness.history.records import TAINTED, Decided, Decision, NightStatus
from tests.history.nights import OTHER_CELL, PHONE, SERIES, entry, failed_entry, run_facts
from tests.report.builders import host_run, phone_run


def test_a_run_is_added_once(where: str) -> None:
    run = phone_run()
    with open_history(where, create=True) as history:
        first = ingest(history, run)
        assert first == IngestCounts(added=len(entries_of(run)), known=0)
        before = [nights_of(history, series.name) for series in list_series(history)]
        assert ingest(history, run) == IngestCounts(added=0, known=first.added)
        assert [nights_of(history, series.name) for series in list_series(history)] == before


def test_a_resumed_run_adds_what_is_new(where: str) -> None:
    run = phone_run()
    half = replace(run, measurements=run.measurements[:5])
    with open_history(where, create=True) as history:
        first = ingest(history, half)
        rest = ingest(history, run)
    assert first.added > 0
    assert rest == IngestCounts(added=len(entries_of(run)) - first.added, known=first.added)


def test_nights_come_back_unchanged(where: str) -> None:
    hot = replace(entry(1.5e6), conditions=("THERMAL", "LOW-BATTERY"), artifact_sha256="bb")
    with open_history(where, create=True) as history:
        append(history, run_facts(1), [hot])
        append(history, run_facts(0), [entry(1e6)])
        append(history, run_facts(2), [failed_entry()])
        nights = nights_of(history, SERIES.name)
    assert [n.created_at[:10] for n in nights] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert [n.figures for n in nights] == [entry(1e6).figures, hot.figures, None]
    assert [n.status for n in nights] == [NightStatus.OK, NightStatus.OK, NightStatus.FAILED]
    assert nights[1].conditions == ("THERMAL", "LOW-BATTERY")
    assert nights[1].artifact_sha256 == "bb"
    assert nights[1].commit == "000000000001"
    assert nights[1].environment == PHONE


def test_a_night_that_was_measured_again_keeps_both(where: str) -> None:
    first = replace(entry(2e6), status=NightStatus.SUPERSEDED)
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [first, replace(entry(1e6), attempt=1)])
        nights = nights_of(history, SERIES.name)
        newest = latest(history)
    assert [(n.attempt, n.status) for n in nights] == [(0, "superseded"), (1, "ok")]
    assert newest is not None
    assert newest.value == (1e6,)


def test_added_values_never_change(where: str) -> None:
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
        append(history, run_facts(0), [entry(9e6)])
        assert [n.figures and n.figures.value for n in nights_of(history, SERIES.name)] == [1e6]


def test_the_newest_night_and_the_nights_before(where: str) -> None:
    with open_history(where, create=True) as history:
        for night, value in enumerate([9e6, 1e6, 2e6, 3e6, 6e6]):
            both = [entry(value), entry(5e6, cell=OTHER_CELL)] if night == 4 else [entry(value)]
            append(history, run_facts(night), both)
        newest = latest(history, window=3)
    assert newest is not None
    assert newest.series == (f"{OTHER_CELL.key}/latency", SERIES.name)
    assert newest.value == (5e6, 6e6)
    assert newest.before == (0, 3)
    assert newest.mean == (None, 2e6)
    assert (newest.low, newest.high) == ((None, 1e6), (None, 3e6))


def test_the_last_of_two_runs_in_a_night_counts(where: str) -> None:
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
        append(history, run_facts(0, name="second"), [entry(2e6)])
        newest = latest(history)
    assert newest is not None
    assert newest.value == (2e6,)


def test_an_empty_history_has_no_newest_night(where: str) -> None:
    with open_history(where, create=True) as history:
        assert latest(history) is None
        assert list_series(history) == ()


def test_decisions_come_back(where: str) -> None:
    told = Decided(
        series=SERIES.name,
        first_run=run_facts(0).name,
        seen_run=run_facts(1).name,
        decision=Decision.CONFIRMED,
        ratio=1.2,
        low=1.1,
        high=1.3,
    )
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
        append(history, run_facts(1), [entry(1.2e6)])
        decide(history, told)
        decide(history, replace(told, decision=Decision.REFUTED))
        assert decisions_of(history, SERIES.name) == (told,)


def test_a_decision_about_an_unknown_run_is_refused(where: str) -> None:
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
        told = Decided(
            series=SERIES.name,
            first_run="never",
            seen_run=run_facts(0).name,
            decision=Decision.REFUTED,
            ratio=None,
            low=None,
            high=None,
        )
        with pytest.raises(StoreError, match="no run 'never'"):
            decide(history, told)
        assert decisions_of(history, SERIES.name) == ()


def test_where_an_artifact_is_kept(where: str) -> None:
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6, artifact="aa")])
        assert artifact_uri(history, "aa") is None
        keep_artifact(history, "aa", "kept/aa.onnx")
        assert artifact_uri(history, "aa") == "kept/aa.onnx"


def test_two_writers_at_once(where: str) -> None:
    with open_history(where, create=True):
        pass

    def write(writer: int) -> None:
        with open_history(where) as history:
            for night in range(5):
                append(history, run_facts(night, name=f"{writer}-{night}"), [entry(1e6), entry(1e6, cell=OTHER_CELL)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with open_history(where) as history:
        assert len(nights_of(history, SERIES.name)) == 20
        assert len(list_series(history)) == 2


@pytest.mark.parametrize("name", [SERIES.name, SERIES.cell, "int8-onnx"])
def test_a_series_is_found_by_a_unique_part_of_its_name(where: str, name: str) -> None:
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6), entry(1e6, cell=OTHER_CELL)])
        assert find_series(history, name) == SERIES


@pytest.mark.parametrize(("name", "words"), [("digits", "matches 2 series"), ("dogits", "is not a series")])
def test_a_name_that_matches_several_series_or_none(where: str, name: str, words: str) -> None:
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(1e6), entry(1e6, cell=OTHER_CELL)])
        with pytest.raises(UsageError, match=words):
            find_series(history, name)


def test_broken_and_failed_cells_leave_a_gap_with_a_reason() -> None:
    host = {entry.status for entry in entries_of(host_run())}
    assert host == {NightStatus.OK, NightStatus.BROKEN}
    failed = [entry for entry in entries_of(phone_run()) if entry.status is NightStatus.FAILED]
    assert [(entry.series.metric, entry.figures) for entry in failed] == [("latency", None)]


def test_a_cell_enters_each_metric_that_was_measured() -> None:
    run = phone_run()
    cell = run.head.plan.cells[0].key
    figures = {e.series.metric: e.figures for e in entries_of(run) if e.series.cell == cell}
    assert set(figures) == {"latency", "load_time", "peak_memory", "size", "accuracy"}
    latency, memory = run.measurements[0].latency, run.measurements[0].memory
    assert latency is not None
    assert memory is not None
    known = figures[SERIES.metric]
    assert known is not None
    assert (known.value, known.low, known.count) == (latency.median_ns, latency.low_ns, 5)
    peak = figures[entries_of(run)[2].series.metric]
    assert peak is not None
    assert peak.value == (memory.peak_bytes or 0) - memory.baseline_bytes


def test_the_system_is_its_build_as_compare_sees_it() -> None:
    run = phone_run()
    phone, build = run.head.devices[0], "maker/phone/phone:15/AP3A.1/1:user/release-keys"
    for details, words in (({"build": build}, f"{phone.os} ({build})"), ({"kernel": "6.1"}, f"{phone.os} (6.1)")):
        told = replace(run, head=replace(run.head, devices=(replace(phone, details=details),)))
        assert {entry.environment.os_build for entry in entries_of(told)} == {words}
        cell = run.head.plan.cells[0]
        assert comparison_keys(told, cell, run.measurements[0])["OS build"] in words
    bare = replace(run, head=replace(run.head, devices=(replace(phone, details={}),)))
    assert {entry.environment.os_build for entry in entries_of(bare)} == {phone.os}


@pytest.mark.parametrize(("spoilt", "tainted"), [(0, False), (2, False), (3, True), (5, True)])
def test_times_are_tainted_where_most_launches_are_and_the_rest_of_the_cell_is_not(spoilt: int, tainted: bool) -> None:
    run = phone_run()
    first = run.measurements[0]
    assert len(first.launches) == 5
    launches = tuple(
        replace(launch, tainted=("throttled",) if index < spoilt else ()) for index, launch in enumerate(first.launches)
    )
    entries = entries_of(replace(run, measurements=(replace(first, launches=launches),)))
    marked = {entry.series.metric for entry in entries if TAINTED in entry.conditions}
    assert marked == ({"latency", "load_time"} if tainted else set())
    assert {entry.status for entry in entries} == {NightStatus.OK}
