"""What a page of the dashboard costs over ten million rows: ``make benchmark ARGS=dashboard``.

``PHONEBENCH_BENCHMARK_URL`` names a server to fill and ask instead of a file.
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

ASKED = 9


def dashboard(folder: Path) -> None:
    """Fill a history, then make each page several times; the first time also warms the caches."""
    where = os.environ.get("PHONEBENCH_BENCHMARK_URL", str(folder / "dashboard.sqlite"))
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
