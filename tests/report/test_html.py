"""The page: complete, safe, and rendered for every empty case."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.plan.cells import Hole
from harness.records.conditions import Condition, ConditionId, FigureGroup
from harness.records.measurement import CellStatus, Measurement
from harness.report.charts.charts import charts
from harness.report.evidence import steady_calls, stored_evidence
from harness.report.footnotes import CONDITIONS, footnotes, marks
from harness.report.formats.html import render_page
from harness.report.sections.cells import html
from harness.report.sections.section import report_of
from harness.report.view import cell_views
from harness.store.reader import read_folder
from harness.store.records import RunRecord
from tests.report.builders import (
    DESKTOP,
    FACTS,
    PHONE,
    broken,
    cells,
    failed,
    host_run,
    latency_of,
    make_run,
    measurement,
    page_of,
    phone_run,
    with_head,
)
from tests.report.large import Shape, large_page


class Page(HTMLParser):
    """Reads a page: its tags, its words, and whether every tag is closed in order."""

    VOID = ("meta", "br", "img", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Data for the script are no script.
        if tag == "script" and dict(attrs).get("type") == "application/json":
            tag = "data"
        self.tags.append(tag)
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.links += [v for k, v in attrs if k in ("href", "src", "xlink:href") and v]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page(run: RunRecord) -> Page:
    return Page(page_of(run))


@pytest.fixture(scope="module")
def host() -> str:
    return page_of(host_run())


@pytest.fixture(scope="module")
def phone() -> str:
    return page_of(phone_run())


@pytest.mark.parametrize("fixture", ["host", "phone"])
def test_the_page_stands_on_its_own(fixture: str, request: pytest.FixtureRequest) -> None:
    html = request.getfixturevalue(fixture)
    parsed = Page(html)
    assert parsed.open == []
    assert "http" not in html
    assert not {"link", "img", "iframe"} & set(parsed.tags)
    assert parsed.tags.count("script") == 1
    assert all(link.startswith("#") for link in parsed.links)
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))


@pytest.mark.parametrize("fixture", ["host", "phone"])
def test_no_heading_skips_a_level(fixture: str, request: pytest.FixtureRequest) -> None:
    levels = [int(tag[1]) for tag in Page(request.getfixturevalue(fixture)).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in zip(levels, levels[1:], strict=False))


@pytest.mark.parametrize("fixture", ["host", "phone"])
def test_every_table_that_scrolls_is_reached_by_keyboard_and_has_a_name(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    regions = re.findall(r'<div class="scroll[^>]*>', request.getfixturevalue(fixture))
    assert len(regions) > 2
    assert all('tabindex="0"' in region and re.search('aria-label="[^"]+"', region) for region in regions)


def test_a_long_name_pushes_no_column_off_the_page() -> None:
    planned = tuple(cells(model=name)[0] for name in ("pond", "x" * 200))
    fragment = html(report_of(make_run(planned, tuple(map(measurement, planned)))))
    assert not {"model", "latency", "size", "accuracy"} & fragment.values["hidden"]


def test_models_without_facts_are_counted() -> None:
    planned = tuple(cells(model=name)[0] for name in ("pond", "shed"))
    run = with_head(make_run(planned, tuple(map(measurement, planned))), models=())
    assert "2 models, 1 device" in page(run).text


@pytest.mark.parametrize(
    "text",
    [
        "digits on Desktop (host)",
        "14 ok, 1 unsupported, 1 broken",
        "AMD EPYC 7B13, 2 cores, x86_64",
        "executorch",
        "20261123-014001-5f3a",
        "3 min 39 s",
        "354/360, 96.4–99.2",
        "0.29× fp32",
        "12 of 14 nodes, 1 thread",
        "calls 40.2–43.2",
        "ExecuTorch's portable kernels have no dynamically quantised linear",
        "DESKTOP-CPU",
        "RssAnon + VmSwap of the runner process",
        "Memory breakdown",
        "phonebench run digits --device host --format pte,tflite,onnx,ptl",
        "measurements.jsonl",
    ],
)
def test_the_page_of_the_host_run_shows(text: str, host: str) -> None:
    assert text in Page(host).text


@pytest.mark.parametrize("text", ["Ship int8 tflite", "1 of 16 cells have not run yet", "SIGSEGV", "11.7–12.0"])
def test_the_page_of_the_phone_run_shows(text: str, phone: str) -> None:
    assert text in Page(phone).text


def one_sample() -> Measurement:
    """A cell whose only launch timed a single call."""
    measured = measurement(cells()[0])
    return replace(measured, latency=latency_of([[41_000]]), launches=(replace(measured.launches[0], calls=1),))


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_runs_that_earlier_versions_wrote_have_a_page(name: str) -> None:
    folder = Path(__file__).parents[1] / "golden" / "results" / name
    run = read_folder(folder)
    evidence = stored_evidence(run)
    parsed = Page(render_page(run, charts(run, steady_calls(evidence), evidence), evidence=evidence))
    assert parsed.open == []
    assert run.head.id in parsed.text


HOLE = Hole(cell=cells()[0], reason="no such kernels")


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (make_run((), ()), "The plan of this run has no cells."),
        (make_run((), (), holes=(HOLE,)), "no such kernels"),
        (make_run(cells(), ()), "16 of 16 cells have not run yet"),
        (make_run(cells()[:1], (failed(cells()[0]),)), "killed by signal 11"),
        (make_run(cells()[:1], (broken(cells()[0]),)), "above their error"),
        (make_run(cells()[:1], (measurement(cells()[0]),)), "Ship fp32 pte"),
        (make_run(cells()[:1], (one_sample(),)), "Ship fp32 pte"),
        (with_head(host_run(), devices=(), models=(), versions={}, commit=None, finished_at=None), "not finished"),
    ],
)
def test_empty_cases_render(run: RunRecord, text: str) -> None:
    parsed = page(run)
    assert parsed.open == []
    assert text in parsed.text


def test_without_accuracy_there_is_a_dash_and_no_zero() -> None:
    cell = cells()[0]
    bare = replace(measurement(cell), accuracy=None, fidelity=None, memory=None, load=None, runtime=None)
    text = page(make_run((cell,), (bare,), facts=replace(FACTS, float_correct=None, labelled=False))).text
    assert "Accuracy was not measured" in text
    assert "without labels" in text
    assert "0.0–" not in text


@pytest.mark.parametrize(
    "bad", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "$\\frac"]
)
def test_names_and_reasons_are_text(bad: str) -> None:
    planned = cells(model=bad)[:3]
    run = make_run(
        planned[:2],
        (measurement(planned[0]), failed(planned[1], bad)),
        holes=(Hole(cell=planned[2], reason=bad),),
        facts=replace(FACTS, name=bad, source=bad),
    )
    parsed = page(run)
    assert parsed.tags.count("script") == 1
    assert "img" not in parsed.tags
    assert bad in parsed.text


def test_what_a_device_lacks_is_told_in_words() -> None:
    lacking = replace(PHONE, details={"no_energy_counter": "its firmware has none", "runner_digest": "abc"})
    run = make_run(cells()[:1], (measurement(cells()[0]),))
    text = page(replace(run, head=replace(run.head, devices=(lacking,)))).text
    assert "no_energy" not in text
    assert "runner_digest" not in text
    assert "none: its firmware has none" in text


def test_every_condition_is_explained_and_touches_a_figure() -> None:
    assert set(CONDITIONS) == set(ConditionId)
    assert all(facts.touches and facts.meaning.endswith(".") for facts in CONDITIONS.values())


@pytest.mark.parametrize(("said", "shown"), [(1, 1), (2, 2), (5, 2)])
def test_a_footnote_does_not_repeat_every_reading(said: int, shown: int) -> None:
    planned = cells()[:said]
    busy = [Condition(id=ConditionId.BUSY_HOST, summary=f"load {i}") for i in range(said)]
    run = make_run(planned, tuple(measurement(c, conditions=(b,)) for c, b in zip(planned, busy, strict=True)))
    (note,) = footnotes(cell_views(run))
    assert (len(note.summaries), note.cells) == (shown, said)


def test_a_condition_stands_only_beside_what_it_touches() -> None:
    cell = cells()[0]
    (view,) = cell_views(make_run((cell,), (measurement(cell, conditions=(DESKTOP,)),)))
    notes = footnotes([view])
    assert [n.letter for n in marks(view, notes, FigureGroup.LATENCY)] == ["a"]
    assert marks(view, notes, FigureGroup.ACCURACY) == ()


def test_a_condition_of_a_whole_column_is_marked_in_its_heading_alone() -> None:
    one, two = cells()[:2]
    busy = Condition(id=ConditionId.BUSY_HOST, summary="load 3")
    run = make_run((one, two), (measurement(one, conditions=(DESKTOP, busy)), measurement(two, conditions=(DESKTOP,))))
    fragment = html(report_of(run))
    columns = fragment.values["columns"]
    latency = next(i for i, column in enumerate(columns) if column.title == "latency")
    assert [note.id for note in columns[latency].marks] == [ConditionId.DESKTOP_CPU]
    rows = [re.findall(r"<td.*?</td>", row)[latency] for row in str(fragment.values["rows"]).split("</tr>")[:-1]]
    assert [re.findall(r'title="([A-Z-]+):', row) for row in rows] == [["BUSY-HOST"], []]


def test_a_cell_that_its_runtime_could_not_run_has_a_file_but_no_figures_in_the_table() -> None:
    ran, refused = cells()[:2]
    unsupported = replace(
        measurement(refused, conditions=(DESKTOP,)),
        status=CellStatus.UNSUPPORTED,
        reason="this build has no xnnpack delegate",
        latency=None,
        launches=(),
    )
    page = page_of(make_run((ran, refused), (measurement(ran, conditions=(DESKTOP,)), unsupported)))
    assert "this build has no xnnpack delegate" in page


def test_the_page_of_three_thousand_cells_leaves_room_for_its_charts() -> None:
    page = large_page(Shape(models=15, phones=4, calls=20))
    assert page.count('"digits-') > 100
    # A page of 15 MB, of which the 48 charts take up to 5.
    assert len(page.encode()) < 10_000_000
    # Every cell can still be found and opened.
    data = json.loads(page.split('id="cells-details">', 1)[1].split("</script>", 1)[0])
    assert len(data["cells"]) == 3120
    assert all(data["cells"])
