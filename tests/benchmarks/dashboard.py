"""What a page of the dashboard costs over ten million rows: ``make benchmark ARGS=dashboard``.

``ARGS=dashboard-server`` does the same on a PostgreSQL server of its own, which it starts and removes again.
``PHONEBENCH_BENCHMARK_URL`` names another server to fill and ask.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from harness.dashboard.app import PAGES
from harness.dashboard.content import ONE_DEVICE, ONE_NIGHT, ONE_SERIES, Content, Place, Query, render
from harness.dashboard.site import HistorySource, Site
from harness.history.browse import Page, find_lines, list_devices, list_nights
from harness.history.database import open_history
from harness.history.ingest import append
from tests.benchmarks.history import NIGHTS, SERIES, entries, fill, run_facts, timings
from tests.history.conftest import running

ASKED = 9


def dashboard(folder: Path) -> None:
    """Time the pages over a file, or over the server that the environment names."""
    time_pages(folder, os.environ.get("PHONEBENCH_BENCHMARK_URL", str(folder / "dashboard.sqlite")))


def dashboard_server(folder: Path) -> None:
    """Time the pages over a PostgreSQL server with its usual settings, except that it need not survive a power cut."""
    with running() as cluster:
        time_pages(folder, cluster.new_database())


def time_pages(folder: Path, where: str) -> None:
    """Fill a history, then make each page several times; the first time also warms the caches."""
    with open_history(where, create=True) as opened:
        append(opened, run_facts(0), entries(0))
        fill(opened)
        append(opened, run_facts(NIGHTS), entries(NIGHTS))
        series = find_lines(opened, "model100", Page())[0][0].name
        night = list_nights(opened, Page())[0][0].name
        device = list_devices(opened)[0].key
    print(f"dashboard: {SERIES * (NIGHTS + 1):,} rows")
    asked: list[tuple[str, Query]] = [
        (Place.OVERVIEW, {}),
        (Place.SERIES, {}),
        (Place.SERIES, {"find": "model1 fake-5"}),
        (Place.SERIES, {"page": str(SERIES // 50)}),
        (ONE_SERIES, {"name": series}),
        (Place.NIGHTS, {}),
        (ONE_NIGHT, {"name": night}),
        (Place.DEVICES, {}),
        (ONE_DEVICE, {"name": device}),
    ]
    site = Site(results=folder, history=HistorySource(where))
    for path, query in asked:
        print(f"dashboard: {path} {dict(query) or ''}: {timings([partial(make, site, path, query)] * ASKED)}")
    site.history.close()


def make(site: Site, path: str, query: Query) -> str:
    """One page, as the server makes it."""
    content = PAGES[path](site, query)
    assert isinstance(content, Content)
    return render(content)
