"""The page in a real browser, as a reader uses it: sort, filter, group, open what is behind a cell, copy, share a link.

Every page that is opened here must fetch nothing and report no error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.plan.cells import Hole
from harness.report.files import write_report
from harness.report.formats.html import render_page
from tests.report.browser import BROWSER, Browser, browser
from tests.report.builders import PHONE, cells, failed, make_run, measurement, page_of, phone_run, with_head
from tests.report.large import Shape, store_large_run
from tests.report.networks import network_run

if BROWSER is None:
    pytest.skip("missing: a browser; run: apt-get install chromium", allow_module_level=True)

SHAPE = Shape(models=2, phones=2, variants=4, threads=(1, 2), launches=2, calls=60)
BAD = (
    "<script>alert(1)</script>",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}",
    "naïve \N{ROCKET} | 'x'",
    '"]}--><b>',
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 128 cells of two models on two phones, with its replies."""
    return write_report(store_large_run(tmp_path_factory.mktemp("results"), SHAPE)).html


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Browser]:
    """The browser; whatever a test opens, nothing is fetched and nothing goes wrong."""
    yield chromium
    assert chromium.requests == []
    assert chromium.errors == []


def column(reader: Browser, title: str) -> list[str]:
    """The texts of a column of the rows that are shown."""
    texts: list[str] = reader.ask(
        "(() => { const heads = [...document.querySelectorAll('#cells thead th')];"
        f"const at = heads.findIndex(h => h.querySelector('button').textContent === {title!r});"
        "const own = n => !n.classList || !['marks', 'under', 'badge'].some(c => n.classList.contains(c));"
        "return [...document.querySelectorAll('#cells tr[data-row]')].map(r =>"
        "[...r.cells[at].childNodes].filter(own).map(n => n.textContent).join('')); })()"
    )
    return texts


def click(reader: Browser, words: str, within: str = "body") -> None:
    """Click the button or the label with these words."""
    reader.ask(
        f"[...document.querySelectorAll('{within} button, {within} label')]"
        f".find(b => b.textContent.trim().startsWith({words!r})).click()"
    )


def said(reader: Browser) -> str:
    return str(reader.ask("document.getElementById('cells-said').textContent"))


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_cut_at_this_width(reader: Browser, page: Path, width: int, dark: bool) -> None:
    reader.open(page, width=width, dark=dark)
    assert not reader.ask("document.documentElement.scrollWidth > innerWidth")
    assert reader.ask(
        "(() => { const box = document.getElementById('cells').parentElement;"
        "return box.scrollWidth <= box.clientWidth; })()"
    )


def test_what_scrolls_sideways_can_be_reached_by_keyboard(reader: Browser, tmp_path: Path) -> None:
    (tmp_path / "small.html").write_text(page_of(phone_run()), encoding="utf-8")
    reader.open(tmp_path / "small.html", width=420)
    reader.ask("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    scrolling = "[...document.querySelectorAll('div, pre')].filter(e => e.scrollWidth > e.clientWidth + 1"
    scrolling += " && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))"
    assert reader.ask(f"{scrolling}.length") > 0
    assert reader.ask(f"{scrolling}.filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80))") == []


def test_a_heading_sorts_up_and_down_and_puts_missing_figures_last(reader: Browser, page: Path) -> None:
    reader.open(page)
    for sign, state in ((1, "ascending"), (-1, "descending")):
        click(reader, "latency", "#cells thead")
        shown = [text.replace("\u202f", "") for text in column(reader, "latency")]
        figures = [sign * float(text) for text in shown if text != "–"]
        assert figures == sorted(figures)
        assert len(figures) > 30
        assert reader.ask("document.querySelector('#cells th[aria-sort]').ariaSort") == state


def test_filters_and_words_narrow_the_table_and_are_in_the_link(reader: Browser, page: Path) -> None:
    reader.open(page)
    total = SHAPE.cells
    assert said(reader) == f"{total} cells"
    click(reader, "int8-dynamic", "#cells-find")
    assert said(reader) == f"{total // 4} of {total} cells"
    reader.ask(
        "(() => { const box = document.querySelector('input[type=search]');"
        "box.value = 'net1 tflite'; box.dispatchEvent(new Event('input')); })()"
    )
    assert said(reader) == f"{total // 32} of {total} cells"
    link = reader.ask("location.hash")
    assert "variant=int8-dynamic" in link
    rows = column(reader, "variant")
    reader.open(page, link=link)
    assert column(reader, "variant") == rows
    assert said(reader) == f"{total // 32} of {total} cells"


def test_groups_fold(reader: Browser, page: Path) -> None:
    reader.open(page)
    reader.ask(
        "(() => { const s = [...document.querySelectorAll('#cells-find select')][0];"
        "s.value = 'device'; s.dispatchEvent(new Event('change')); })()"
    )
    heads = reader.ask("[...document.querySelectorAll('#cells tr.group')].map(r => r.textContent)")
    assert heads == [f"{PHONE.key} (64 cells)", "android:P1 (64 cells)"]
    click(reader, PHONE.key, "#cells")
    assert set(column(reader, "device")) == {"android:P1"}
    assert "fold=" in reader.ask("location.hash")


def test_what_is_behind_a_cell_opens_with_the_keyboard_and_closes_with_escape(reader: Browser, page: Path) -> None:
    reader.open(page)
    reader.ask("document.querySelector('#cells button.open').focus()")
    reader.press("Enter", "\r")
    reader.wait_for("document.querySelector('tr.detail') !== null")
    titles = reader.ask("[...document.querySelectorAll('tr.detail h4')].map(h => h.textContent)")
    assert {"Launches", "Calls over time", "File", "Repeat this cell", "Slowest operators"} <= set(titles)
    text = reader.ask("document.querySelector('tr.detail').textContent")
    assert "phonebench run digits --device android:R58M1 --format pte --variant fp32 --delegate xnnpack" in text
    assert "thermal light" in text
    assert "ef" * 32 in text
    assert "cell=digits-fp32-pte" in reader.ask("location.hash")
    reader.ask("document.querySelector('tr.detail pre').focus()")
    reader.press("Escape")
    reader.wait_for("document.querySelector('tr.detail') === null")


def test_a_link_opens_what_is_behind_a_cell_that_is_not_on_the_first_screen(reader: Browser, page: Path) -> None:
    reader.open(page, link="#cell=net1-int8-onnx-cpu-t2-android-P1-standard&variant=int8&model=net1")
    assert "--threads 2" in reader.ask("document.querySelector('tr.detail').textContent")


def test_columns_are_chosen(reader: Browser, page: Path) -> None:
    reader.open(page)
    visible = "[...document.querySelectorAll('#cells thead th')].filter(h => !h.hidden).length"
    before = reader.ask(visible)
    click(reader, "size", "#cells-find")
    assert reader.ask(visible) == before - 1
    click(reader, "agreement", "#cells-find")
    assert reader.ask(visible) == before


def test_what_is_copied_is_what_is_found(reader: Browser, page: Path) -> None:
    reader.open(page, link="#variant=int8&status=ok&sort=-latency")
    count = int(said(reader).split()[0])
    table = list(csv.reader(io.StringIO(reader.ask("phonebench.csv()"))))
    assert len(table) == count + 1
    assert len({len(row) for row in table}) == 1
    assert {row[table[0].index("variant")] for row in table[1:]} <= {"int8", "int8 (front)", "int8 (ship)"}
    markdown = reader.ask("phonebench.markdown()").splitlines()
    assert len(markdown) == count + 2
    assert set(markdown[1]) == set("| -")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose names, reasons and logs are markup, right-to-left text, emoji and quotes."""
    planned = tuple(c for name in BAD for c in cells(model=name, device=PHONE.key)[:3])
    measured: list[Any] = []
    for number, cell in enumerate(planned):
        measured.append(failed(cell, BAD[number % 4]) if number % 3 == 2 else measurement(cell, launches=2))
    holes = tuple(Hole(cell=replace(planned[0], key=f"hole {i}"), reason=bad) for i, bad in enumerate(BAD))
    run = make_run(planned, tuple(measured), holes=holes, device=PHONE)
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    path.write_text(render_page(run, ()), encoding="utf-8")
    return path


def test_names_are_text_wherever_the_script_places_them(reader: Browser, hostile: Path) -> None:
    reader.open(hostile)
    for row in range(3):
        reader.ask(f"document.querySelectorAll('#cells button.open')[{row}].click()")
    reader.ask(
        "(() => { const s = [...document.querySelectorAll('#cells-find select')][0];"
        "s.value = 'model'; s.dispatchEvent(new Event('change')); })()"
    )
    assert reader.ask("document.querySelectorAll('main script, main b:not(summary b)').length") == 0
    text = reader.ask("document.querySelector('main').textContent")
    assert all(bad in text for bad in BAD)
    markdown = reader.ask("phonebench.markdown()")
    assert "naïve \N{ROCKET} \\| 'x'" in markdown
    assert "<script" not in markdown


@pytest.mark.parametrize(
    ("link", "cells_said"),
    [
        ("#variant=nothing&sort=nothing&group=nothing&cell=nothing&column=nothing", "15 of 16 cells"),
        ("#note-a", "15 of 16 cells"),
        ("#%ff=%zz&q=%22", "0 of 16 cells"),
        ("#status=pending", "1 of 16 cells"),
    ],
)
def test_a_link_from_elsewhere_does_no_harm(reader: Browser, tmp_path: Path, link: str, cells_said: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of(phone_run()), encoding="utf-8")
    reader.open(path, link=link)
    assert said(reader) == cells_said


def test_a_run_without_cells_is_a_page_without_errors(reader: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of(with_head(make_run((), ()), finished_at=None)), encoding="utf-8")
    reader.open(path)
    assert "The plan of this run has no cells." in reader.ask("document.body.textContent")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of three files with their networks."""
    place = tmp_path_factory.mktemp("network")
    (place / "page.html").write_text(render_page(network_run(place / "results"), ()), encoding="utf-8")
    return place / "page.html"


def boxes(reader: Browser) -> list[str]:
    texts: list[str] = reader.ask("[...document.querySelectorAll('.box text.title')].map(t => t.textContent)")
    return texts


def choose(reader: Browser, label: str, words: str) -> None:
    reader.ask(
        f"(() => {{ const s = document.querySelector('#network-find select[aria-label={label}]');"
        f"s.value = [...s.options].find(o => o.textContent === {words!r}).value;"
        "s.dispatchEvent(new Event('change')); })()"
    )


def network_facts(reader: Browser) -> dict[str, str]:
    pairs: list[list[str]] = reader.ask(
        "[...document.querySelectorAll('#network-facts dt')].map(t => [t.textContent, t.nextSibling.textContent])"
    )
    return dict(map(tuple, pairs))  # type: ignore[arg-type]


def test_the_network_opens_as_its_layers_and_follows_the_keyboard(reader: Browser, drawn: Path) -> None:
    reader.open(drawn)
    choose(reader, "File", "fp32 onnx")
    assert boxes(reader) == ["▸ stem", "▸ body.0", "▸ body.1"]
    reader.ask("document.querySelector('.box').focus()")
    reader.press("ArrowDown")
    assert network_facts(reader)["time"] == "200 ns"
    assert network_facts(reader)["SQNR with only this layer in int8"] == "40 dB"
    reader.press("Enter", "\r")
    assert boxes(reader) == ["▸ stem", "Conv", "Relu", "▸ body.1"]
    assert network_facts(reader)["name"] == "node_body.0"
    reader.press("Escape")
    assert boxes(reader) == ["▸ stem", "▸ body.0", "▸ body.1"]


@pytest.mark.parametrize("cut", [False, True])
def test_the_name_of_a_box_begins_with_what_stands_in_it(reader: Browser, drawn: Path, cut: bool) -> None:
    page = drawn.with_name("long.html")
    long = {"Relu": "RectifiedLinearUnit", "body.1": "the.last.of.all.the.layers.1"} if cut else {}
    text = drawn.read_text(encoding="utf-8")
    for short, name in long.items():
        text = text.replace(short, name)
    page.write_text(text, encoding="utf-8")
    reader.open(page)
    names: list[list[str]] = reader.ask(
        "[...document.querySelectorAll('#network .box, .box')].map(b => [b.getAttribute('aria-label'),"
        " [...b.querySelectorAll('text')].map(t => t.textContent.replace('▸ ', '')).filter(Boolean).join(' ')])"
    )
    assert names
    for name, seen in names:
        assert name.startswith(seen)
        # What was cut is said too.
        assert all(whole in name for whole in long.values() if whole[-8:] in seen or whole[:8] in seen)
    assert any("…" in seen for _, seen in names) == cut


def test_colours_of_the_network_say_what_is_known_and_the_corner_what_changed(reader: Browser, drawn: Path) -> None:
    reader.open(drawn, dark=True)
    choose(reader, "File", "int8-mixed onnx")
    options = reader.ask(
        "[...document.querySelectorAll('#network-find select[aria-label=Colour] option')].map(o => o.textContent)"
    )
    # This file has no profile.
    assert "colour: time" not in options
    assert reader.ask("document.querySelectorAll('.box path.changed').length") == 4
    choose(reader, "Colour", "colour: what the recipe changed")
    assert reader.ask("document.querySelectorAll('.box rect.tab').length") == 4


def test_the_boxes_are_a_table_for_those_who_do_not_see_them(reader: Browser, drawn: Path) -> None:
    reader.open(drawn)
    choose(reader, "File", "prune50+int8 onnx")
    reader.ask("document.getElementById('network-list').open = true")
    reader.wait_for("document.querySelectorAll('#network-list tbody tr').length === 4")
    cells = reader.ask("[...document.querySelectorAll('#network-list tbody tr')[1].cells].map(c => c.textContent)")
    assert cells[0] == "stem"
    assert "prune: 4 of 8 channels" in cells[-1]
    labels = reader.ask("[...document.querySelectorAll('.box')].map(b => b.getAttribute('aria-label'))")
    assert all("nodes: " in label for label in labels)
