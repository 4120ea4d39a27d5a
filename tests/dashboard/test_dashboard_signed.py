"""A dashboard that requires signatures: what it says of runs that have none, and of what can have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.history.database import open_history
from harness.history.ingest import append
from harness.signing.bundle import sign
from harness.signing.keys import create_key
from harness.store.records import MEASUREMENTS_FILE
from harness.workflows.nightly.page import PAGE_FILE
from harness.workflows.nightly.record import FOLDER
from tests.conftest import call_phonebench
from tests.dashboard.site import serving
from tests.history.nights import entry, run_facts
from tests.report.large import Shape, store_large_run


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A signed run, one that nobody signed, one that was changed afterwards, a night with a page, and a history."""
    root = tmp_path / "results"
    runs = [
        store_large_run(root / name, Shape(variants=1, launches=1, calls=20)).directory
        for name in ("signed", "plain", "changed")
    ]
    for number, (run, name) in enumerate(zip(runs, ("signed", "plain", "changed"), strict=True)):
        run.rename(root / f"2026112{number}-000000-{name}")
        (root / name).rmdir()
    key = create_key(tmp_path / "release", days=30)
    for name in ("signed", "changed"):
        (folder,) = root.glob(f"*-{name}")
        (folder / "report.html").write_text("<main>planted page</main>")
        sign(folder, key.private)
    lines = next(root.glob("*-changed")) / MEASUREMENTS_FILE
    lines.write_text(lines.read_text().replace('"ok"', '"broken"', 1))
    page = root / FOLDER / "night-1" / PAGE_FILE
    page.parent.mkdir(parents=True)
    page.write_text("<main>planted night</main>")
    with open_history(str(root / "history.sqlite"), create=True) as history:
        append(history, run_facts(1, name="night-1"), [entry(1e6)])
    return root


def test_only_signed_runs_are_shown_and_the_rest_says_that_it_has_no_signature(results: Path, tmp_path: Path) -> None:
    names = sorted(folder.name for folder in results.glob("2026*"))
    with serving(results, str(results / "history.sqlite"), trusted=tmp_path / "release.pub") as served:
        listed = served.get("/runs").text
        assert listed.count("not signed") == 2
        assert [f"/run?name={name}" in listed for name in names] == [True, False, False]
        answers = [served.one("/run", name) for name in names]
        assert [answer.status for answer in answers] == [200, 403, 403]
        # The report that lies beside the run is covered by no signature.
        assert "planted page" not in answers[0].text
        assert "Phone 1" in answers[0].text
        assert "has no signature" in answers[1].text
        assert "measurements.jsonl" in answers[2].text
        night = served.one("/night-page", "night-1")
        assert (night.status, "planted night" in night.text) == (403, False)
        assert "/night-page" not in served.one("/night", "night-1").text
        for path in ("/nights", "/series", "/devices"):
            assert "no signature covers this page" in served.get(path).text
        assert "The history and the nights have no signatures." in served.get("/").text


def test_the_list_of_runs_in_the_terminal_says_the_same(results: Path, tmp_path: Path) -> None:
    command = ["show", "--list", "--results", str(results)]
    done = call_phonebench(*command, "--require-signature", "release.pub", "--json", cwd=tmp_path)
    assert [(one["status"], bool(one["cells"])) for one in done.json()] == [
        ("finished", True),
        ("not signed", False),
        ("not signed", False),
    ]
    done = call_phonebench(*command, "--require-signature", "release.key", cwd=tmp_path)
    assert (done.code, "is a private key" in done.err) == (7, True), done.err
