"""The nightly screen and Apache Otava on labelled series that neither project's simulation made.

``make benchmark ARGS=changes`` takes the 17 patterns of the package ``otava-test-data`` (Apache-2.0), plays each night
by night, and scores what the screen of the nightly job and Otava report. The packages are installed with uv into an
environment of their own, once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from harness.stats.screening import screen_history

PACKAGES = ("apache-otava==0.8.0", "otava-test-data[web]==0.1.9")
SEEDS = 10
# An alarm this many nights from a label is about that change.
NEAR = 5
# The tolerance of a latency, the metric that the nightly job is mostly about.
LEAST = 0.03
# Labels of what changes the level. The package also labels outliers, and changes of variance and of phase.
LEVELS = ("step", "regression_start", "regression_end")

# The index of a change, and the night on which it was reported.
Alarm = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One series with the nights on which its level truly changes."""

    pattern: str
    values: Sequence[float]
    changes: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a detector did with some series. ``delays``: nights from each change found to its report, 1 = at once."""

    changes: int
    delays: tuple[int, ...]
    false: int

    @property
    def words(self) -> str:
        """Found of all changes, false alarms, median delay."""
        delay = f"{median(self.delays):g}" if self.delays else "-"
        return f"{len(self.delays):4}/{self.changes:<4} {self.false:5} {delay:>6}"


def score(labelled: Sequence[Labelled], alarms: Sequence[Sequence[Alarm]]) -> Score:
    """Match alarms with changes: each change is found by the first alarm near it, and every other alarm is false."""
    delays: list[int] = []
    false = 0
    for series, reported in zip(labelled, alarms, strict=True):
        open_changes = list(series.changes)
        for index, night in sorted(reported, key=lambda alarm: alarm[1]):
            near = [change for change in open_changes if abs(change - index) <= NEAR and night >= change]
            if not near:
                false += 1
                continue
            change = min(near, key=lambda change: abs(change - index))
            open_changes.remove(change)
            delays.append(night - change + 1)
    return Score(changes=sum(len(series.changes) for series in labelled), delays=tuple(delays), false=false)


def screened(series: Labelled) -> list[Alarm]:
    """What the screen of the nightly job reports, night by night."""
    return [(found.index, found.seen) for found in screen_history(series.values, least=LEAST)]


def changes(folder: Path) -> None:
    """Print one line per pattern: found of all changes, false alarms, and the median delay of each detector."""
    answers = _other_side(folder)
    labelled = [
        Labelled(
            pattern=answer["pattern"],
            values=answer["values"],
            changes=[index for index, kind in answer["labels"] if kind in LEVELS],
        )
        for answer in answers
    ]
    alarms: dict[str, list[list[Alarm]]] = {"screen": [screened(series) for series in labelled]}
    for p_value in answers[0]["alarms"]:
        alarms[f"otava p={p_value}"] = [answer["alarms"][p_value] for answer in answers]
    nights = len(labelled[0].values)
    print(f"changes: {len(labelled)} series of {nights} nights; found/changes, false alarms, median nights to a report")
    print(f"changes: {'pattern':26}" + "".join(f"{name:>20}" for name in alarms))
    for pattern in [*dict.fromkeys(series.pattern for series in labelled), "all"]:
        rows = [i for i, series in enumerate(labelled) if pattern in (series.pattern, "all")]
        scores = [score([labelled[i] for i in rows], [reported[i] for i in rows]) for reported in alarms.values()]
        print(f"changes: {pattern:26}" + "".join(f"{one.words:>20}" for one in scores))


def _other_side(folder: Path) -> list[dict[str, Any]]:
    """The series and Otava's alarms, from the script beside this one in its own environment."""
    environment, script = folder / "otava", Path(__file__).with_name("otava_side.py")
    uv = [sys.executable, "-m", "uv"]
    python = str(environment / "bin" / "python")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
    done = subprocess.run([python, str(script), str(SEEDS)], check=True, stdout=subprocess.PIPE)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
