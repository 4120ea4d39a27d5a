"""What people see of a farm: in the terminal, as JSON, on the web page, and when it cannot be reached."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.farm import _print_status
from harness.dashboard.content import Content, render
from harness.dashboard.pages.farm import farm
from harness.dashboard.site import HistorySource, Site
from harness.farm.events import EventKind
from harness.farm.host_agent import find_engine
from harness.farm.link import Link
from harness.farm.status import FarmHost, FarmStatus
from harness.farm.status_words import device_rows, duration, headline, host_rows, run_rows, waiting_rows
from harness.farm.tls import farm_place
from tests.conftest import call_phonebench
from tests.farm.test_farm_status import event, status
from tests.report.test_html import Page

DEADLINE_S = 120
QUEUED, STARTED, DONE, LOST = EventKind.QUEUED, EventKind.STARTED, EventKind.DONE, EventKind.LOST


def busy() -> FarmStatus:
    """Cells take 60 s. Low has run one for 10 s, the second time, and one waits. Two wait for a phone that is away."""
    shown = status(
        *(event(QUEUED, cell) for cell in ("low-1", "low-2", "low-3", "gone-1", "gone-<b>")),
        event(STARTED, "low-1"),
        event(DONE, "low-1", at_s=60, seconds=60),
        event(LOST, "low-2", at_s=70, reason="the cable came loose"),
        replace(event(STARTED, "low-2", at_s=90), attempt=1),
    )
    hosts = (
        FarmHost(name="rack-1", seen_at="2026-11-30T08:01:00Z", present=True, roles=("build",), clock_s=3601.0),
        FarmHost(name="rack-2", seen_at="2026-11-29T08:01:00Z", present=False),
    )
    return replace(shown, hosts=hosts, scheduler="tls://rack:8787")


def test_the_headline_counts_and_says_when_it_ends() -> None:
    assert headline(busy()) == [
        "3 devices: 1 idle, 1 busy, 1 away.",
        "1 cell is measured now, and 3 wait.",
        # Low: 50 + 60 s. The phone that is away would take 120 s.
        "All of it will have ended in about 2 min, if no device goes away.",
    ]
    assert headline(status()) == ["2 devices: 2 idle.", "Nothing runs, and nothing waits."]
    assert headline(status(devices=())) == ["The farm has no device.", "Nothing runs, and nothing waits."]
    assert headline(status(event(QUEUED, "low-1")))[1:] == [
        "0 cells are measured now, and 1 waits.",
        "No cell has ended yet, so nothing is known about how long this will take.",
    ]


def test_the_rows_say_who_runs_what_and_why_cells_wait() -> None:
    shown = busy()
    assert device_rows(shown) == [
        ("fake:high", "rack-1", "idle", "", "0", "0 s"),
        ("fake:low", "rack-1", "busy", "low-2 (night of ada, attempt 2, for 10 s)", "1", "2 min"),
        ("fake:gone", "–", "away", "no agent has it", "2", "2 min"),
    ]
    assert run_rows(shown) == [("night", "ada", "0", "1 of 5", "1", "3", "2 min", "")]
    assert waiting_rows(shown, most=2)[1] == ("gone-1", "night", "ada", "device 'fake:gone' is away: no agent has it")
    assert [row[1:4:2] for row in host_rows(shown)] == [("here", "+3601 s"), ("away", "right")]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 0 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_terminal_shows_all_of_it_and_says_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    _print_status(busy(), most=1)
    out = capsys.readouterr().out
    assert "low-2 (night of ada" in out
    assert "2 more cells wait; --most lists more of them" in out
    assert "gone-1" not in out


def page_of(site: Site) -> str:
    content = farm(site, {})
    assert isinstance(content, Content)
    return render(content)


def test_the_web_page_shows_the_same_and_no_name_becomes_markup(tmp_path: Path) -> None:
    site = Site(results=tmp_path, history=HistorySource(str(tmp_path / "none")))
    assert "follows no farm" in page_of(site)
    page = Page(page_of(replace(site, farm=busy)))
    assert "low-2 (night of ada, attempt 2, for 10 s)" in page.text
    assert "gone-<b>" in page.text
    assert "b" not in page.tags
    assert "+3601 s" in page.text


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """A real scheduler on loopback with certificates of its own; yields its address."""
    made = call_phonebench("farm", "certs", "rack", "--for", "127.0.0.1", cwd=folder)
    assert made.code == 0, made.err
    certs = ["--certs", str(folder / "farm-certs" / "rack")]
    command = [sys.executable, "-m", "harness", "farm", "scheduler", *certs, "--data", str(folder / "data")]
    command += ["--port", "0", "--engine-port", "0"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "listens at" in line)
            yield said.partition("listens at ")[2].partition(". To stop")[0]
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE_S)
        finally:
            process.kill()


def test_a_real_scheduler_is_asked_over_mutual_tls(tmp_path: Path) -> None:
    with scheduler(tmp_path) as url:
        certs = ("--certs", str(tmp_path / "farm-certs" / "rack"))
        shown = call_phonebench("farm", "status", "--scheduler", url, *certs, cwd=tmp_path)
        assert shown.code == 0, shown.err
        assert "The farm has no device." in shown.out
        as_json = call_phonebench("farm", "status", "--json", "--scheduler", url, *certs, cwd=tmp_path)
        assert json.loads(as_json.out)["devices"] == []
        link = Link(farm_place(url, tmp_path / "farm-certs" / "rack"))
        engine = find_engine(link).address
        link.close()
        with socket.create_connection(("127.0.0.1", int(engine.rpartition(":")[2])), DEADLINE_S):
            pass
    gone = call_phonebench("farm", "status", "--scheduler", url, *certs, cwd=tmp_path)
    assert gone.code == 6
    assert "127.0.0.1" in gone.err
    plain = call_phonebench("farm", "status", "--scheduler", url.replace("tls", "http"), *certs, cwd=tmp_path)
    assert (plain.code, "never reached without encryption" in plain.err) == (2, True)
