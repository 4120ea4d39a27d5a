"""The JUnit XML and the Markdown of a night."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from harness.history.records import Decision
from harness.records.metrics import LATENCY
from harness.workflows.nightly.files import MOST_ROWS, junit, markdown
from harness.workflows.nightly.record import Absent, Confirmation, NightRecord, SeriesNight, State, Suspect, Trigger
from tests.workflows.nightly.conftest import CELL, SPEC

SUSPECT = Suspect(
    series=f"{CELL.key}/latency",
    cell=CELL.key,
    metric=LATENCY.name,
    trigger=Trigger.SCREEN,
    worse=True,
    ratio=1.11,
    first_run="r1",
    good_run="r0",
    good_sha256="aa",
    sha256="bb",
    last_good="c0",
    first_bad="c1",
)
CONFIRMED = Confirmation(
    series=SUSPECT.series, decision=Decision.CONFIRMED, worse=True, ratio=1.1, low=1.08, high=1.12, pairs=10
)


def night(state: State, **facts: object) -> SeriesNight:
    """One series."""
    blank = SeriesNight(series=SUSPECT.series, cell=CELL.key, metric=LATENCY.name, state=state, value=1.1e6)
    return replace(blank, **facts)  # type: ignore[arg-type]


def record(*series: SeriesNight) -> NightRecord:
    """A finished night."""
    return NightRecord(
        id="n1",
        created_at="2026-01-01T01:00:00Z",
        spec=SPEC,
        history="h",
        commit="c1",
        absent=(Absent(device="fake:low", reason="no | cable"),),
        series=series,
    )


def test_each_state_has_its_place_in_junit() -> None:
    regressed = night(State.REGRESSION, suspect=SUSPECT, confirmation=CONFIRMED, level=1e6)
    others = [night(state, reason="because") for state in State if state is not State.REGRESSION]
    suite = ElementTree.fromstring(junit(record(regressed, *others)))
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(len(State)),
        "failures": "1",
        "errors": "2",
        "skipped": "1",
    }
    tags = {
        case.find("properties/property[@name='state']").get("value"): {child.tag for child in case} - {"properties"}  # type: ignore[union-attr]
        for case in suite
    }
    assert tags["regression"] == {"failure"}
    assert tags["failed"] == tags["not judged"] == {"error"}
    assert tags["incomplete"] == {"skipped"}
    assert tags["suspicious"] == tags["improvement"] == tags["none"] == {"system-out"}
    message = suite[0].find("failure").get("message")  # type: ignore[union-attr]
    assert message == (
        "+10.0 % compared with the last good artifact (95 % interval +8.0 % to +12.0 %, 10 pairs); "
        "suspected by screen: +11.0 %, commits c0..c1"
    )


def test_characters_that_xml_cannot_contain_are_replaced() -> None:
    case = ElementTree.fromstring(junit(record(night(State.FAILED, reason="bell \x07 <tag> & \ud800"))))[0]
    assert case.find("error").get("message") == "bell � <tag> & �"  # type: ignore[union-attr]


def test_markdown_starts_with_the_verdict_and_shows_what_needs_attention() -> None:
    text = markdown(record(night(State.NONE), night(State.REGRESSION, suspect=SUSPECT, confirmation=CONFIRMED)))
    assert text.splitlines()[2] == "**1 of 2 series regressed**, confirmed side by side."
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert rows[2].startswith("| regression | `digits-fp32-onnx")
    assert "Device fake:low was absent: no \\| cable." in text


def test_a_long_table_says_how_much_it_leaves_out() -> None:
    text = markdown(record(*[night(State.SUSPICIOUS)] * (MOST_ROWS + 7)))
    assert "7 more rows are not shown" in text
    assert text.count("| suspicious |") == MOST_ROWS


def test_a_quiet_night_and_one_with_gaps() -> None:
    quiet = markdown(record(night(State.NONE)))
    assert "**No regression.**" in quiet
    assert "- 1 series: nothing suspected." in quiet
    assert "1 of 2 series is missing" in markdown(record(night(State.NONE), night(State.INCOMPLETE)))
