"""The dashboard in a real browser: it fetches nothing else, breaks no rule of its own policy, and can be walked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness.report.files import write_report
from tests.dashboard.site import Served, serving
from tests.dashboard.test_dashboard_pages import HOSTILE, fill
from tests.history.nights import SERIES
from tests.report.browser import BROWSER, Browser, browser
from tests.report.large import Shape, store_large_run

if BROWSER is None:
    pytest.skip("missing: a browser; run: apt-get install chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    results = tmp_path_factory.mktemp("results")
    write_report(store_large_run(results, Shape(models=1, phones=1, variants=2, threads=(1,), launches=2, calls=20)))
    fill(str(results / "history.sqlite"))
    with serving(results, str(results / "history.sqlite")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def reader(chromium: Browser, dashboard: Served) -> Iterator[Browser]:
    """The browser; whatever a test opens, nothing else is fetched and nothing goes wrong."""
    yield chromium
    assert set(chromium.requests) <= {f"{dashboard.address}/favicon.ico"}
    assert chromium.errors == []


def follow(reader: Browser, words: str) -> None:
    """Click the link with these words, and wait for its page."""
    reader.ask("window.here = true")
    found = f"[...document.querySelectorAll('a')].find(a => a.textContent === {json.dumps(words)})"
    reader.ask(f"{found}.click()")
    reader.wait_for("window.here === undefined && document.readyState === 'complete'")


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_reader_walks_from_the_first_page_to_a_series(
    reader: Browser, dashboard: Served, width: int, dark: bool
) -> None:
    reader.visit(dashboard.address, width=width, dark=dark)
    paper = reader.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
    assert reader.ask("document.querySelector('nav [aria-current]').textContent") == "Overview"
    follow(reader, "Series")
    reader.ask("document.querySelector('input[type=search]').value = 'int8 latency'")
    reader.ask("window.here = true")
    reader.ask("document.querySelector('form').requestSubmit()")
    reader.wait_for("window.here === undefined && document.readyState === 'complete'")
    assert reader.ask("document.querySelectorAll('tbody tr').length") == 1
    follow(reader, SERIES.name)
    assert reader.ask("document.querySelector('h1').textContent") == SERIES.name
    # The chart takes the colours of the page.
    ink = reader.ask("getComputedStyle(document.querySelector('#nights svg text')).fill")
    assert ink in (("rgb(230, 237, 243)", "rgb(154, 165, 177)") if dark else ("rgb(31, 35, 40)", "rgb(89, 99, 110)"))
    assert not reader.ask("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("path", ["/", "/nights", "/series", "/devices", "/runs"])
def test_no_page_is_wider_than_a_phone_and_no_name_becomes_markup(
    reader: Browser, dashboard: Served, path: str
) -> None:
    reader.visit(f"{dashboard.address}{path}", width=420)
    assert not reader.ask("document.documentElement.scrollWidth > innerWidth")
    assert reader.ask("document.querySelectorAll('main img, main script, main iframe').length") == 0
    if path == "/series":
        shown = reader.ask("[...document.querySelectorAll('tbody a')].map(a => a.textContent)")
        assert set(HOSTILE) < set(shown)


def test_a_hostile_name_can_be_followed(reader: Browser, dashboard: Served) -> None:
    for name in HOSTILE:
        reader.visit(f"{dashboard.address}/series")
        reader.ask(
            f"[...document.querySelectorAll('tbody a')].find(a => a.textContent === {json.dumps(name)}).id = 'it'"
        )
        reader.ask("window.here = true")
        reader.ask("document.getElementById('it').click()")
        reader.wait_for("window.here === undefined && document.readyState === 'complete'")
        assert reader.ask("document.querySelector('h1').textContent") == name


def test_the_report_of_a_run_works_in_its_sandbox_and_leads_back(reader: Browser, dashboard: Served) -> None:
    reader.visit(f"{dashboard.address}/runs")
    reader.ask("document.querySelector('tbody a').id = 'it'")
    reader.ask("window.here = true")
    reader.ask("document.getElementById('it').click()")
    reader.wait_for("window.here === undefined && document.readyState === 'complete'")
    cells = reader.ask("document.getElementById('cells-said').textContent")
    assert cells.endswith("cells")
    reader.ask("document.querySelector('#cells thead th button').click()")
    assert reader.ask("!!document.querySelector('#cells th[aria-sort]')")
    # Its scripts have no origin, so they reach no other page of the dashboard.
    assert reader.ask("self.origin") == "null"
    follow(reader, "Nights")
    assert reader.ask("document.querySelector('h1').textContent") == "Nights"
