"""A metric added by one row, from this file alone, is compared, kept, screened, confirmed and reported."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.compare.runs import compare_runs
from harness.compare.words import comparison_rows
from harness.history.database import open_history
from harness.history.figures import entries_of
from harness.history.ingest import ingest
from harness.history.queries import find_series, latest, nights_of
from harness.history.records import Decision, Figures, HistoryEntry, Night
from harness.history.story import tell
from harness.measure.job import Launched, Seen
from harness.measure.latency import SteadyCalls
from harness.measure.pairs import PairPlan, Sides, summarise_pairs
from harness.records.conditions import ConditionId, FigureGroup
from harness.records.measurement import GateFacts, GateOutcome, Measurement
from harness.records.metric import ComparisonKind, ConfirmationKind, CsvColumn, Metric, Polarity, Reading, TableColumn
from harness.records.metrics import METRICS
from harness.records.units import TimeFormatter
from harness.report.charts.nights import nights_svg
from harness.report.formats.csv import csv_text
from harness.report.formats.json import show_json
from harness.report.formats.nights_text import latest_rows, night_rows
from harness.report.formats.terminal import run_lines
from harness.report.sections.cells import html
from harness.report.sections.section import report_of
from harness.stats.screening import ARL0
from harness.stats.steady import SteadyState
from harness.stats.verdicts import Verdict
from harness.store.records import RunRecord
from harness.wire import LatencySamples, ReplyStatus, RunnerInfo, RunReply
from harness.workflows.nightly.confirm import judge
from harness.workflows.nightly.files import junit, markdown
from harness.workflows.nightly.night import nightly
from harness.workflows.nightly.record import State, Trigger
from harness.workflows.nightly.screening import SeriesHistory, as_night, screen_series
from tests.history.nights import run_facts
from tests.report.builders import page_of, phone_run, unstyled
from tests.workflows.nightly.conftest import SPEC, Farm
from tests.workflows.nightly.test_night_files import SUSPECT

NAME = "first_call"


def _read(measurement: Measurement) -> Reading | None:
    if measurement.load is None or measurement.load.first_inference_ns is None:
        return None
    good = tuple(float(launch.first_ns or 0) for launch in measurement.launches if not launch.tainted)
    return Reading(value=measurement.load.first_inference_ns, count=max(1, len(measurement.launches)), launches=good)


FIRST_CALL = Metric(
    name=NAME,
    label="first call",
    unit="ns",
    polarity=Polarity.LOWER,
    relative_tolerance=0.05,
    formatter=TimeFormatter(),
    read=_read,
    read_launch=lambda reply: reply.latency.first_ns if reply.latency else None,
    comparison=ComparisonKind.LAUNCHES,
    confirmation=ConfirmationKind.LAUNCHES,
    group=FigureGroup.LATENCY,
    csv=(CsvColumn(name="first_call_ns", read=lambda m: m.load.first_inference_ns if m.load else None),),
    table=TableColumn(heading="first", title="first call", hint="call 0, before any warm-up", keep=20),
)


@pytest.fixture(autouse=True)
def first_call() -> Iterator[None]:
    """The row among the others, for one test."""
    METRICS[NAME] = FIRST_CALL
    yield
    del METRICS[NAME]


def run_of(factor: float = 1.0, *, name: str = "20261123-014001-5f3a", night: str = "2026-11-23") -> RunRecord:
    """A run on a phone whose first calls take ``factor`` times as long."""

    def change(measurement: Measurement) -> Measurement:
        if measurement.load is None:
            return measurement
        load = replace(measurement.load, first_inference_ns=factor * (measurement.load.first_inference_ns or 0))
        launches = (
            replace(launch, first_ns=round(factor * (launch.first_ns or 0)) + 100 * i)
            for i, launch in enumerate(measurement.launches)
        )
        return replace(measurement, load=load, launches=tuple(launches))

    run = phone_run()
    head = replace(run.head, id=name, created_at=f"{night}T01:40:01Z")
    return replace(run, head=head, measurements=tuple(map(change, run.measurements)))


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, Verdict.REGRESSED), (1.0, Verdict.EQUIVALENT)])
def test_two_runs_are_compared_by_it(factor: float, verdict: Verdict) -> None:
    comparison = compare_runs(run_of(), run_of(factor))
    compared = [metric for metric in comparison.cells[0].metrics if metric.metric == NAME]
    assert [metric.verdict for metric in compared] == [verdict]
    row = next(row for row in comparison_rows(comparison) if row[1] == "first call")
    assert (row[2], row[6]) == ("0.4002 ms", verdict.value)


def test_the_history_keeps_it_and_finds_it_again(tmp_path: Path) -> None:
    with open_history(str(tmp_path / "h.sqlite"), create=True) as history:
        ingest(history, run_of())
        ingest(history, run_of(1.5, name="20261124-014001-5f3a", night="2026-11-24"))
        series = find_series(history, f"{run_of().head.plan.cells[0].key}/{NAME}")
        story = tell(series, nights_of(history, series.name))
        newest = latest(history)
    assert (series.metric, series.unit, series.polarity) == (NAME, "ns", "lower is better")
    assert [row[1] for row in night_rows(story, last=5)] == ["400 µs", "600 µs"]
    assert "first call, µs" in (nights_svg(story) or "")
    assert newest is not None
    rows = {row[0]: row for row in latest_rows(newest, most=100)}
    assert rows[series.name][1:3] == ("600 µs", "400 µs")


def test_a_night_screens_it() -> None:
    (entry,) = [e for e in entries_of(run_of()) if e.series.metric == NAME][:1]
    nights = [replace(entry, figures=_scaled(entry, 1 + 0.01 * (i % 5 - 2))) for i in range(30)]
    slow = [replace(entry, figures=_scaled(entry, 1.5 + 0.01 * i), artifact_sha256="b" * 64) for i in range(3)]
    history = SeriesHistory(nights=tuple(_night(e, i) for i, e in enumerate(nights)), decisions=())
    screened = screen_series(history, slow, run_facts(30), ARL0)
    assert screened.night.state is State.SUSPICIOUS
    assert screened.night.suspect is not None
    assert (screened.night.suspect.trigger, screened.night.suspect.worse) == (Trigger.STEP, True)


@pytest.mark.parametrize(("factor", "decision"), [(1.3, Decision.CONFIRMED), (1.0, Decision.REFUTED)])
def test_a_suspicion_is_confirmed_by_the_launches_of_both_sides(factor: float, decision: Decision) -> None:
    seen = Sides(a=_launches(1.0), b=_launches(factor))
    confirmation = judge(replace(SUSPECT, metric=NAME), summarise_pairs([], PairPlan()), seen)
    assert confirmation.decision is decision
    assert confirmation.ratio == pytest.approx(factor, rel=0.01)


def test_launches_that_are_not_sure_enough_for_a_nightly_job_confirm_nothing() -> None:
    # Welch's p is 1 in 9,600 here: far below 5 %, and above the 1 in 20,000 that the first look may spend.
    seen = Sides(a=_launches(1.0, step_ns=40_000), b=_launches(1.3, step_ns=40_000))
    confirmation = judge(replace(SUSPECT, metric=NAME), summarise_pairs([], PairPlan()), seen)
    assert confirmation.decision is Decision.UNDECIDED
    assert confirmation.low is not None
    assert confirmation.low > 1.1


def test_a_whole_night_reports_it(farm: Farm) -> None:
    record = nightly(SPEC, farm.tools)
    series = [night for night in record.series or () if night.metric == NAME]
    assert [night.state for night in series] == [State.INSUFFICIENT]
    assert f'name="{NAME}"' in junit(record).decode()
    suspicious = replace(record, series=tuple(replace(night, state=State.SUSPICIOUS) for night in series))
    assert f"{NAME}`" in markdown(suspicious)


def test_the_csv_has_it_in_its_last_column() -> None:
    row = next(csv.DictReader(io.StringIO(csv_text(run_of()))))
    assert list(row)[-1] == "first_call_ns"
    assert row["first_call_ns"] == "400000.0"


def test_the_json_has_it_under_metrics() -> None:
    cells = show_json(run_of())["cells"]
    reading = {"unit": "ns", "value": 400000.0, "low": None, "high": None, "count": 5}
    assert cells[0]["metrics"] == {NAME: reading}
    assert cells[-1]["metrics"] == {NAME: None}
    del METRICS[NAME]
    assert "metrics" not in show_json(run_of())["cells"][0]
    METRICS[NAME] = FIRST_CALL


def test_the_terminal_has_its_column() -> None:
    lines = [unstyled(line) for line in run_lines(run_of(), 200)]
    headings = next(i for i, line in enumerate(lines) if "first" in line)
    assert "µs" in lines[headings + 1]
    assert " 400 " in lines[headings + 2]
    assert "Left out at this width: first µs" in "\n".join(run_lines(run_of(), 70))


def test_the_page_has_its_column_with_the_conditions_that_touch_it() -> None:
    shown = html(report_of(run_of())).values
    rows = [re.findall(r"<td.*?</td>", row) for row in str(shown["rows"]).split("</tr>")[:-1]]
    index = [column.title for column in shown["columns"]].index("first call")
    assert (shown["columns"][index].unit, shown["columns"][index].hint) == ("µs", "call 0, before any warm-up")
    assert [re.sub(r"<[^>]*>", "", row[index]) for row in rows[:2]] == ["400", "400"]
    assert 'title="call 0, before any warm-up"' in page_of(run_of())
    hot = [re.findall(r'title="([A-Z-]+):', row[index]) for row in rows if "mark" in row[index]]
    assert hot == [[ConditionId.THERMAL.value]]


def _scaled(entry: HistoryEntry, factor: float) -> Figures:
    assert entry.figures is not None
    return replace(entry.figures, value=factor * entry.figures.value)


def _night(entry: HistoryEntry, index: int) -> Night:
    return as_night(entry, run_facts(index))


def _launches(factor: float, *, step_ns: int = 1000) -> Seen:
    """Five launches whose first calls take about ``factor`` ms, each ``step_ns`` longer than the one before."""
    return Seen(
        launched=[
            Launched(
                reply=RunReply(
                    cell="c",
                    launch=i,
                    status=ReplyStatus.OK,
                    runner=RunnerInfo(kind="host", version="1"),
                    latency=LatencySamples(first_ns=round(factor * 1e6) + step_ns * i, warmup_ns=(), samples_ns=(1, 2)),
                ),
                sha256="ab" * 32,
                summary=SteadyCalls(start=0, calls=2, median_ns=1.5, state=SteadyState.FLAT),
                gate=GateFacts(outcome=GateOutcome.NONE, waited_s=0.0),
            )
            for i in range(5)
        ]
    )
