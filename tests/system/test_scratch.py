"""Temporary folders: kept while their process lives, swept when it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from harness.system.scratch import GRACE_SECONDS, make_scratch, remove_scratch

MAKE = (
    "import sys, time; from pathlib import Path; from harness.system.scratch import make_scratch;"
    "print(make_scratch('test', Path(sys.argv[1])), flush=True); time.sleep(60)"
)


def started(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a scratch folder made long ago."""
    process = subprocess.Popen([sys.executable, "-c", MAKE, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    made = Path(process.stdout.readline().strip())
    old = time.time() - 2 * GRACE_SECONDS
    os.utime(made, (old, old))
    return process, made


def ended(process: subprocess.Popen[str]) -> None:
    """Kill, and collect."""
    process.kill()
    process.communicate()


def test_a_folder_in_use_is_left_alone_and_a_dead_one_goes(tmp_path: Path) -> None:
    process, made = started(tmp_path)
    first = make_scratch("test", tmp_path)
    assert made.is_dir()
    ended(process)
    second = make_scratch("test", tmp_path)
    assert not made.exists()
    assert first.is_dir()
    for folder in (first, second):
        remove_scratch(folder)
    assert list(tmp_path.iterdir()) == []
