"""Runs that an earlier version stored: they can be shown, reported and resumed as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.workflows.head import versions_of_packages
from tests.conftest import Called, call_phonebench

STORED = Path(__file__).parents[1] / "golden" / "results"


def copied(run: str, folder: Path) -> Path:
    """A copy of a stored run in ``folder / "results"``, and beside it the file of the model that it measured."""
    shutil.copy(STORED / "tiny.onnx", folder)
    return Path(shutil.copytree(STORED / run, folder / "results" / run))


def phonebench(*args: str, cwd: Path) -> Called:
    return call_phonebench(*args, cwd=cwd, env={"PHONEBENCH_CACHE": str(cwd / "cache")})


def shown(run: Path) -> Any:
    done = phonebench("show", str(run), "--json", cwd=run.parents[1])
    assert done.code == 0, done.err
    return done.json()


def common(now: Any, before: Any) -> Any:
    """``now`` without the keys that ``before`` lacks: keys may be added, at any depth, but none may change."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {key: common(value, before[key]) for key, value in now.items() if key in before}
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [common(*pair) for pair in zip(now, before, strict=True)]
    return now


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_an_old_run_shows_what_it_showed(name: str, tmp_path: Path) -> None:
    run = copied(name, tmp_path)
    assert common(shown(run), before := json.loads((run / "show.json").read_text())) == before
    table = phonebench("show", name, cwd=tmp_path)
    assert table.code == 0, table.err
    assert ("not finished" in table.out) == (name == "interrupted")


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_an_old_run_reports(name: str, tmp_path: Path) -> None:
    run = copied(name, tmp_path)
    done = phonebench("report", name, cwd=tmp_path)
    assert done.code == 0, done.err
    page = (run / "report.html").read_text()
    assert json.loads((run / "run.json").read_text())["id"] in page
    assert len((run / "table.csv").read_text().splitlines()) == 1 + len(shown(run)["cells"])


def test_an_old_run_resumes(tmp_path: Path) -> None:
    run = copied("interrupted", tmp_path)
    # A kill in the middle of a write leaves half a line.
    measured = (run / "measurements.jsonl").read_bytes()
    (run / "measurements.jsonl").write_bytes(measured + measured.splitlines()[-1][:200])
    with_packages_of_today(run)
    before = {cell["key"]: cell for cell in shown(run)["cells"]}
    assert [cell["status"] for cell in before.values()].count("pending") == 6
    done = phonebench("run", "--resume=interrupted", cwd=tmp_path)
    assert done.code == 0, done.err
    after = {cell["key"]: cell for cell in shown(run)["cells"]}
    assert after.keys() == before.keys()
    assert {cell["status"] for cell in after.values()} == {"ok", "unsupported"}
    assert all(after[key] == cell for key, cell in before.items() if cell["status"] != "pending")
    assert (run / "measurements.jsonl").read_bytes().startswith(measured)


def with_packages_of_today(run: Path) -> None:
    """Pretend that the run started with the packages installed now; with others, resuming is rightly refused."""
    head = json.loads((run / "run.json").read_text())
    head["versions"] = versions_of_packages()
    (run / "run.json").write_text(json.dumps(head))
