"""An import or export that fails leaves nothing behind, and what was there before stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.system.files import all_or_nothing
from tests.cli.calls import call

FILES = Path(__file__).parent / "files"


# Limits the size of files and becomes ``phonebench``. The limit is set in the new process: a function between fork and
# exec warns, if a library with threads is loaded here.
LIMITED = """
import os, resource, sys
most_bytes = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
os.execv(sys.executable, [sys.executable, "-m", "harness", *sys.argv[2:]])
"""


def with_small_disk(*args: str, most_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run ``phonebench`` where no file may be larger than ``most_bytes``: as on a full disk, a write ends midway."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", LIMITED, str(most_bytes), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("most_bytes", [0, 1500])
def test_an_import_that_cannot_be_stored_leaves_nothing(tmp_path: Path, most_bytes: int) -> None:
    done = with_small_disk(
        "import", str(FILES / "leaderboard.jsonl"), "--results", str(tmp_path / "a" / "b"), most_bytes=most_bytes
    )
    assert (done.returncode, "cannot write to" in done.stderr) == (6, True), done.stderr
    assert left_in(tmp_path) == []


def test_an_export_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert call("import", str(FILES / "react_native.json"), "--results", str(results)).code == 0
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("kept")
    for place, rest in ((target, ["mine"]), (tmp_path / "deep" / "new", None)):
        done = with_small_disk("export", "--to", "mlflow", "-o", str(place), "--results", str(results), most_bytes=150)
        assert (done.returncode, "cannot write to" in done.stderr) == (6, True), done.stderr
        assert rest is None or left_in(place) == rest
    assert not (tmp_path / "deep").exists()


def test_an_interrupt_leaves_nothing_either(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "some" / "new"
    old.write_text("before")

    def interrupted() -> None:
        with all_or_nothing((old, new)):
            new.parent.mkdir()
            new.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert left_in(tmp_path) == ["old"]
