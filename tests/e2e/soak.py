"""A run that is killed at random instants and resumed, again and again: no cell may be lost or measured twice.

``make soak ARGS=run`` takes ``--kills 50`` and ``--seed 0``. The tests do it with fewer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import Called, call_phonebench

ROOT = Path(__file__).parents[2]
# Enough for a kill to fall between two launches of a cell.
LAUNCHES = 4
CELLS = ("--device", "fake", "--format", "onnx", "--threads", "1,2", "--launches", str(LAUNCHES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """What is left after the last resumption.

    ``expected``: the keys of the planned cells. ``stored``: those of the measurements in the file, in their order.
    ``cells``: what is shown of the run. ``resumed``: how often a run was.
    """

    expected: frozenset[str]
    stored: tuple[str, ...]
    cells: tuple[dict[str, Any], ...]
    resumed: int

    @property
    def faults(self) -> list[str]:
        """What went wrong, in words; empty if nothing did."""
        keys = self.stored
        found = [f"lost: {key}" for key in sorted(self.expected - set(keys))]
        found += [f"not expected: {key}" for key in sorted(set(keys) - self.expected)]
        found += [f"twice: {key}" for key in sorted(set(keys)) if keys.count(key) > 1]
        found += [f"{cell['status']}: {cell['key']}" for cell in self.cells if cell["status"] != "ok"]
        counted = [(cell["key"], cell["latency"]["launches"]) for cell in self.cells if cell["status"] == "ok"]
        found += [
            f"{launches} launches instead of {LAUNCHES}: {key}" for key, launches in counted if launches != LAUNCHES
        ]
        return found if self.resumed else [*found, "no kill fell into a run"]


def start(folder: Path, *args: str, cache: Path) -> subprocess.Popen[bytes]:
    """Start the command line in a separate process."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *args],
        cwd=folder,
        env=os.environ | _places(folder, cache) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_and_resume(folder: Path, cache: Path, *, kills: int, seed: int) -> Struck:
    """Kill ``kills`` runs at random instants, each the rest of the one before.

    Every other instant is one at which a whole run measures, which is only a part of its time.
    """
    chance = random.Random(seed)
    began, began_at = time.monotonic(), time.time()
    expected = frozenset(cell["key"] for cell in _called(folder, cache, "run", *CELLS, "--json").json()["cells"])
    whole = (0.0, time.monotonic() - began)
    stored_at = [path.stat().st_mtime - began_at for path in folder.glob("results/*/replies/*")]
    measuring = (min(stored_at), max(stored_at))
    resumed = 0
    for number in range(kills):
        unfinished = [cell for cell in _shown(folder, cache) if cell["status"] == "pending"]
        resumed += bool(unfinished)
        process = start(folder, "run", *(("--resume",) if unfinished else CELLS), cache=cache)
        try:
            process.wait(timeout=chance.uniform(*(whole if number % 2 else measuring)))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    _called(folder, cache, "run", "--resume")
    newest = max(folder.glob("results/*/measurements.jsonl"))
    stored = tuple(json.loads(line)["cell"] for line in newest.read_text().splitlines())
    return Struck(expected=expected, stored=stored, cells=tuple(_shown(folder, cache)), resumed=resumed)


def _places(folder: Path, cache: Path) -> dict[str, str]:
    return {"PHONEBENCH_RESULTS": str(folder / "results"), "PHONEBENCH_CACHE": str(cache)}


def _called(folder: Path, cache: Path, *args: str) -> Called:
    done = call_phonebench(*args, cwd=folder, env=_places(folder, cache))
    assert done.code == 0, done.err
    return done


def _shown(folder: Path, cache: Path) -> list[dict[str, Any]]:
    """The cells of the newest run."""
    cells: list[dict[str, Any]] = _called(folder, cache, "show", "--json").json()["cells"]
    return cells


def main() -> int:
    """Run the soak test with the options of the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("kills", 50), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Building takes longer than the run, whose length the instants are spread over.
        _called(folder, folder / "cache", "build", "digits", "--format", "onnx")
        struck = kill_and_resume(folder, folder / "cache", kills=asked.kills, seed=asked.seed)
    print(f"{asked.kills} kills, resumed {struck.resumed} times, {len(struck.cells)} cells")
    for fault in struck.faults:
        print(fault)
    return 1 if struck.faults else 0


if __name__ == "__main__":
    sys.exit(main())
