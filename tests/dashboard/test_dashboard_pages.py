"""What the pages show: names as they are, links that lead somewhere, and a sentence where there is nothing to show."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.errors import UsageError
from harness.farm.status import FarmStatus
from harness.history.database import open_history
from harness.history.ingest import append, decide
from harness.history.records import Decided, Decision
from harness.report.files import write_report
from harness.spec.spec import Spec
from harness.store.reader import load_run
from harness.workflows.nightly.page import PAGE_FILE
from harness.workflows.nightly.record import FOLDER, Carried, DeviceHealth, DeviceUsage, Journal, NightRecord
from tests.dashboard.site import Served, serving
from tests.farm.test_farm_status import status as farm_with
from tests.history.conftest import Cluster, cluster, own_cluster
from tests.history.nights import CELL, OTHER_CELL, PHONE, SERIES, entry, failed_entry, run_facts
from tests.report.large import Shape, store_large_run
from tests.report.test_html import Page

__all__ = ["cluster", "own_cluster"]

HOSTILE = (
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "..",
    "a?b=c&d#e%2F%00",
    "'\"><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\N{HEBREW LETTER ALEF} \N{ROCKET} =cmd|' /C calc'!A1",
    "%_%",
    "$\\frac{$ $x$",
)
PAGES = ("/", "/nights", "/series", "/devices", "/farm", "/runs")


def fill(where: str) -> None:
    """A month of two series, with a failed night, a decision, and a series for each hostile name."""
    with open_history(where, create=True) as history:
        for night in range(30):
            slower = 1.2 if night >= 20 else 1.0
            entries = [entry(1e6 * slower), entry(2e6, cell=OTHER_CELL)]
            append(history, run_facts(night), [failed_entry(), *entries[1:]] if night == 12 else entries)
        odd = [
            replace(one, series=replace(SERIES, name=name, device=name), environment=replace(PHONE, os_build=name))
            for name in HOSTILE
            for one in [entry(3e6)]
        ]
        append(history, run_facts(30, name=HOSTILE[0]), odd)
        decide(history, decided())


def decided() -> Decided:
    night = run_facts(20).name
    return Decided(
        series=SERIES.name,
        first_run=night,
        seen_run=night,
        decision=Decision.CONFIRMED,
        ratio=1.2,
        low=1.18,
        high=1.22,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two runs, one of them with a report, a night with its page, and a damaged run."""
    folder = tmp_path_factory.mktemp("results")
    shape = Shape(models=1, phones=1, variants=2, threads=(1,), launches=2, calls=20)
    run = store_large_run(folder, shape)
    (folder / "20260101-000000-damaged").mkdir()
    (folder / "20260101-000000-damaged" / "run.json").write_text("{")
    write_report(run)
    night = folder / FOLDER / run_facts(20).name
    night.mkdir(parents=True)
    (night / PAGE_FILE).write_text("<!doctype html><html><body><main><h1>verdicts</h1></main></body></html>")
    (folder / "secret.txt").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def dashboard(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    where = str(tmp_path_factory.mktemp("history") / "history.sqlite")
    fill(where)
    with serving(results, where) as served:
        yield served


def links_of(text: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'href="(/[^"]*)"', text)]


def test_every_link_of_every_page_leads_to_a_page(dashboard: Served) -> None:
    waiting, seen = ["/"], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = dashboard.get(path)
        assert answer.status == 200, (path, answer.text[-2000:])
        waiting += links_of(answer.text)
    kinds = {path.partition("?")[0] for path in seen}
    assert kinds == {*PAGES, "/night", "/night-page", "/one-series", "/device", "/run"}
    # Each hostile name is a series and a device.
    assert len([path for path in seen if path.startswith("/one-series?")]) == 2 + len(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is(dashboard: Served, name: str) -> None:
    for path in ("/one-series", "/device"):
        answer = dashboard.one(path, name)
        assert answer.status == 200
        page = Page(answer.text)
        assert page.open == []
        assert name in page.text
        assert "img" not in page.tags
    scripts = re.findall(r"<script>", answer.text)
    assert len(scripts) == 1


@pytest.mark.parametrize("words", ["%", "_", "<b>", "' OR 1=1 --", "nothing-like-it", "\N{ROCKET}"])
def test_words_to_find_are_words(dashboard: Served, words: str) -> None:
    text = Page(dashboard.get(f"/series?find={quote(words)}").text).text
    matches = [name for name in (*HOSTILE, SERIES.name, f"{OTHER_CELL.key}/latency") if words.lower() in name.lower()]
    assert (f"{len(matches)} series with" in text) is bool(matches)
    assert ("No series has" in text) is not bool(matches)


def test_the_page_of_a_series_tells_its_story(dashboard: Served) -> None:
    text = Page(dashboard.one("/one-series", SERIES.name).text).text
    assert "Confirmed change for the worse by +20.0 %" in text or "confirmed change for the worse by +20.0 %" in text
    assert "1.20 ms" in text
    assert "failed" in text


def test_the_page_of_a_night_shows_what_moved_and_what_failed(dashboard: Served) -> None:
    moved = Page(dashboard.one("/night", run_facts(20).name).text).text
    # 1.2 ms after seven nights of 1.0 ms, and 2.0 ms as before.
    assert "+20.0 %" in moved
    assert "+0.0 %" in moved
    assert "2 values: 2 ok." in moved
    failed = Page(dashboard.one("/night", run_facts(12).name).text).text
    assert "2 values: 1 failed, 1 ok." in failed
    assert "Series that failed or were broken" in failed


def test_the_stored_page_of_a_night_is_shown_with_links_and_in_a_sandbox(dashboard: Served) -> None:
    answer = dashboard.one("/night-page", run_facts(20).name)
    assert "<h1>verdicts</h1>" in answer.text
    assert "/series" in links_of(answer.text)
    assert "sandbox allow-scripts" in answer.headers["content-security-policy"]


def test_the_report_of_a_run_is_the_stored_one_until_the_run_goes_on(dashboard: Served, results: Path) -> None:
    run = next(folder for folder in results.iterdir() if (folder / "report.html").exists())
    stored = (run / "report.html").read_text()
    body = stored.partition("<main>")[2]
    assert dashboard.one("/run", run.name).text.endswith(body)
    report = run / "report.html"
    kept = report.stat()
    report.write_text("<main>old</main>")
    os.utime(report, ns=(0, 0))
    made = dashboard.one("/run", run.name).text
    assert made != "old"
    assert Page(made).text.count(load_run(results, run.name).head.models[0].name) > 3
    report.write_text(stored)
    os.utime(report, ns=(kept.st_atime_ns, kept.st_mtime_ns))


@pytest.mark.parametrize(
    "path",
    [
        "/run?name=secret.txt",
        "/run?name=../results",
        "/run?name=..%2F..%2Fetc",
        "/run?name=%2Fetc%2Fpasswd",
        "/run?name=%00",
        "/run?name=",
        "/run",
        "/run?name=20260101-000000-damaged%00",
        "/night-page?name=..",
        "/night-page?name=../../secret.txt",
        "/night-page?name=.",
        "/night?name=none",
        "/one-series?name=none",
        "/device?name=none",
        "/series?page=0",
        "/series?page=-1",
        "/series?page=1e9",
        "/series?page=99999999999999999999",
        "/nights?page=%D9%A1",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/static/secret.txt",
        "/run/../../secret.txt",
    ],
)
def test_what_does_not_exist_is_a_sentence(dashboard: Served, path: str) -> None:
    answer = dashboard.get(path)
    assert answer.status == 404
    page = Page(answer.text)
    assert "Nothing to show here" in page.text
    assert "Traceback" not in answer.text
    assert "root:" not in answer.text
    assert "secret\n" not in answer.text


def test_a_page_past_the_end_says_how_many_there_are(dashboard: Served) -> None:
    answer = dashboard.get("/nights?page=99")
    assert answer.status == 200
    assert "none here, 31 in all" in answer.text
    assert "/nights?page=1" in links_of(answer.text)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(dashboard: Served, method: str) -> None:
    answer = dashboard.get("/series", method=method)
    assert answer.status == 405
    assert "only shows" in answer.text


def test_a_damaged_run_is_listed_without_a_link(dashboard: Served) -> None:
    answer = dashboard.get("/runs")
    assert "damaged" in Page(answer.text).text
    assert not any("damaged" in link for link in links_of(answer.text))


def test_without_a_history_the_runs_are_shown_and_the_rest_says_how_to_begin_one(results: Path, tmp_path: Path) -> None:
    where = tmp_path / "none.sqlite"
    with serving(results, str(where)) as served:
        first = served.get("/")
        assert first.status == 200
        assert "Newest runs" in first.text
        for path in ("/", "/series", "/nights", "/devices"):
            answer = served.get(path)
            assert answer.status == (200 if path == "/" else 503)
            assert "to begin one, run a night" in Page(answer.text).text
        # It is read as soon as there is one.
        fill(str(where))
        assert served.get("/series").status == 200
        # And again after it was replaced.
        where.unlink()
        with open_history(str(where), create=True):
            pass
        assert "There are no series." in Page(served.get("/series").text).text
    assert not list(tmp_path.glob("*.part"))


def test_a_farm_has_pages_for_devices_that_no_history_has_and_says_what_no_longer_fits(tmp_path: Path) -> None:
    problem: list[Exception] = []

    def ask() -> FarmStatus:
        if problem:
            raise problem[0]
        return farm_with()

    with serving(tmp_path / "none", str(tmp_path / "none.sqlite"), farm=ask) as served:
        links = [link for link in links_of(served.get("/farm").text) if link.startswith("/device?")]
        assert len(links) == 2
        for link in links:
            answer = served.get(link)
            assert answer.status == 200
            assert "no series of it yet" in Page(answer.text).text
        assert served.one("/device", "fake:none").status == 503
        problem.append(UsageError("the certificate of 'lab1' ended on 2026-11-29: renew it"))
        gone = served.get("/farm")
    assert gone.status == 503
    assert "The certificate of 'lab1' ended on 2026-11-29: renew it." in Page(gone.text).text


def test_the_page_of_a_device_with_a_history_does_not_wait_for_the_farm(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask() -> FarmStatus:
        asked.append("the farm")
        return farm_with()

    where = str(tmp_path / "history.sqlite")
    fill(where)
    with serving(tmp_path / "none", where, farm=ask) as served:
        link = next(link for link in links_of(served.get("/devices").text) if link.startswith("/device?"))
        assert served.get(link).status == 200
        assert asked == []
        assert served.one("/device", "fake:none").status == 404
    assert asked == ["the farm"]


def test_an_empty_history_and_empty_results(tmp_path: Path) -> None:
    where = str(tmp_path / "history.sqlite")
    with open_history(where, create=True):
        pass
    with serving(tmp_path / "nothing", where) as served:
        texts = {path: Page(served.get(path).text).text for path in PAGES}
    assert "The history has no nights yet." in texts["/"]
    assert "The history has no nights yet." in texts["/nights"]
    assert "There are no series." in texts["/series"]
    assert "The history has no devices yet." in texts["/devices"]
    assert "There are no runs in" in texts["/runs"]
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_is_no_history_is_a_sentence(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE series (a)")
    connection.close()
    with serving(tmp_path, str(other)) as served:
        answer = served.get("/series")
    assert answer.status == 503
    assert "is not a phonebench history" in Page(answer.text).text


def test_a_server_that_goes_away_and_comes_back(own_cluster: Cluster, tmp_path: Path) -> None:
    url = own_cluster.new_database()
    fill(url)
    with serving(tmp_path, url) as served:
        for path in (
            "/",
            "/nights",
            f"/one-series?name={SERIES.name}",
            f"/night?name={run_facts(20).name}",
            "/devices",
        ):
            assert served.get(path).status == 200
        assert f"{2 + len(HOSTILE)} series." in Page(served.get("/series").text).text
        own_cluster.control("stop", "--mode", "immediate")
        answer = served.get("/series")
        assert answer.status == 503
        assert "cannot be reached, or the connection was lost" in Page(answer.text).text
        own_cluster.start()
        assert served.get("/series").status == 200


def test_the_cell_of_a_series_is_not_taken_for_its_name(dashboard: Served) -> None:
    assert dashboard.one("/one-series", CELL.key).status == 404


def test_the_devices_of_the_newest_night_have_their_cost_and_their_quarantine(tmp_path: Path) -> None:
    resting = DeviceHealth(device="android:AAA", failed=3, reason="offline", since="n1", wait=1)
    usage = DeviceUsage(device="fake", cells=2, busy_s=90, cooling_s=6, queued_s=12, active_s=180)
    spec = Spec(device=("fake", "android:AAA"))
    night = NightRecord(
        id="n1", created_at="", spec=spec, history="h", usage=(usage,), handed_on=Carried(devices=(resting,))
    )
    Journal(tmp_path, night).note()
    # One that is damaged is passed over.
    (tmp_path / FOLDER / "n2").mkdir()
    (tmp_path / FOLDER / "n2" / "night.json").write_text('{"schema": 1, "id": "n2", "usa')
    where = str(tmp_path / "history.sqlite")
    fill(where)
    with serving(tmp_path, where) as served:
        text = Page(served.get("/devices").text).text
    assert "android:AAA has been in quarantine since night n1, because it failed 3 nights in a row (offline)" in text
    assert "it is tried again in 2 nights" in text
    assert "What night n1 cost" in text
    assert "1.5 min" in text
    assert "50 %" in text
