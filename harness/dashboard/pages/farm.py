"""The farm at this moment: its devices, who runs what, what waits and why."""

from __future__ import annotations

from harness.dashboard.content import ONE_DEVICE, Content, Place, Query, link
from harness.dashboard.site import Site
from harness.errors import StoreError, UsageError
from harness.farm import status_words as words
from harness.farm.status import FarmStatus
from harness.records import units
from harness.report.pages import PageTable, page_fragments

MOST_WAITING = 200
NO_FARM = "This dashboard follows no farm. To follow one, start it with --scheduler tls://HOST:PORT."


def farm(site: Site, query: Query) -> Content:  # noqa: ARG001  every page is called alike
    """The farm as its scheduler describes it now."""
    if site.farm is None:
        fragments = page_fragments(about="farm", answer=[NO_FARM])
        return Content(place=Place.FARM, title="Farm", lead="", fragments=fragments)
    status = farm_status(site)
    assert status is not None
    devices = [(link(row[0], ONE_DEVICE, name=row[0]), *row[1:]) for row in words.device_rows(status)]
    left = status.waiting_cells - min(MOST_WAITING, len(status.waiting))
    more = f"{left} more wait." if left else ""
    waiting = words.waiting_rows(status, most=MOST_WAITING)
    tables = [
        PageTable(heading="Devices", titles=words.DEVICE_TITLES, rows=devices, texts=(0, 1, 2, 3)),
        PageTable(heading="Runs", titles=words.RUN_TITLES, rows=words.run_rows(status), texts=(0, 1, 7)),
        PageTable(heading="What waits", titles=words.WAITING_TITLES, rows=waiting, texts=(0, 1, 2, 3), words=more),
        PageTable(heading="Builds", titles=words.BUILD_TITLES, rows=words.build_rows(status), texts=(0, 1, 2, 3, 5)),
        PageTable(heading="Hosts", titles=words.HOST_TITLES, rows=words.host_rows(status), texts=(0, 1, 2, 3, 4)),
    ]
    fragments = page_fragments(about="farm", answer=words.headline(status), tables=tables)
    return Content(
        place=Place.FARM, title="Farm", lead=f"{status.scheduler} · {units.stamp(status.at)}", fragments=fragments
    )


def farm_status(site: Site) -> FarmStatus | None:
    """Return the state of the farm that the dashboard follows, None if it follows none. Raises `StoreError`."""
    try:
        return site.farm() if site.farm is not None else None
    except UsageError as error:
        # The page exists. What fitted when the dashboard was started no longer does, such as its certificate.
        raise StoreError(str(error)) from error
