"""Pages that are stored whole: the report of a run and the page of a night. They are found by name, never by path."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.dashboard.content import Document, Place, navigation
from harness.errors import UsageError
from harness.signing.require import require_signatures
from harness.store.reader import list_runs, load_run
from harness.store.records import MEASUREMENTS_FILE, RUN_FILE
from harness.system.files import storage_errors
from harness.workflows.nightly.page import PAGE_FILE
from harness.workflows.nightly.record import FOLDER

REPORT_FILE = "report.html"
# A report that is missing or older than its run is made here, one at a time: it takes seconds and much memory.
_MAKING = threading.Lock()


def night_file(results: Path, name: str) -> Path | None:
    """Return the page of the night ``name``, None if it has none or nothing of that name is a night's folder."""
    return next((page for page in _within(results / FOLDER, name, PAGE_FILE)), None)


def run_document(results: Path, name: str, *, trusted: str | None = None) -> Document:
    """Return the report of the run ``name``: the stored one, or a new one if the run is newer. Raises `UsageError`.

    With the key file ``trusted`` it is always a new one of a run that was verified, because no signature covers a
    report. Raises `SignatureError` if the key has not signed the run.
    """
    if name not in list_runs(results):
        msg = f"{name!r} is not a run in {str(results)!r}"
        raise UsageError(msg)
    folder = results / name
    stored = folder / REPORT_FILE
    if trusted is not None:
        require_signatures([folder], Path(trusted).expanduser())
    with storage_errors(folder):
        if trusted is None and stored.is_file() and stored.stat().st_mtime >= _changed(folder):
            return stored_document(stored, Place.RUNS)
    return Document(place=Place.RUNS, html=_with_links(_made(results, name), Place.RUNS))


def stored_document(path: Path, place: Place) -> Document:
    """Return the page in the file ``path``. Raises `StoreError`."""
    with storage_errors(path.parent):
        return Document(place=place, html=_with_links(path.read_text(encoding="utf-8", errors="replace"), place))


def _within(folder: Path, name: str, file: str) -> list[Path]:
    """The file in the subfolder ``name``, if the folder lists one of exactly that name."""
    try:
        names = {entry.name for entry in folder.iterdir()}
        path = folder / name / file
        return [path] if name in names and path.is_file() else []
    except OSError:
        return []


def _changed(folder: Path) -> float:
    files = [folder / name for name in (RUN_FILE, MEASUREMENTS_FILE)]
    return max(file.stat().st_mtime for file in files if file.exists())


def _made(results: Path, name: str) -> str:
    """A report as `write_report` would write it, in memory: this server writes nothing."""
    from harness.report.charts.charts import MOST_FIGURES, charts
    from harness.report.evidence import steady_calls, stored_evidence
    from harness.report.formats.html import render_page

    with _MAKING:
        run = load_run(results, name)
        evidence = stored_evidence(run)
        drawn = charts(run, steady_calls(evidence), evidence, most=MOST_FIGURES, png=False)
        return render_page(run, drawn, evidence=evidence)


def _with_links(html: str, place: Place) -> str:
    """Add the navigation to a page that was written without; its look is inline, as older pages have none for it."""
    from markupsafe import escape

    links = " ".join(
        f'<a style="margin-right:18px" href="{escape(item.href)}">{escape(item.text)}</a>' for item in navigation(place)
    )
    return html.replace("<main>", f'<main>\n<p style="font-size:14px">{links}</p>', 1)
