"""What the history costs with ten million rows: one series, the newest night against seven, one more night.

``make benchmark ARGS=history``; on a server with its URL in ``PHONEBENCH_BENCHMARK_URL``.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from harness.history import tables
from harness.history.database import History, open_history
from harness.history.figures import make_series
from harness.history.ingest import append
from harness.history.queries import latest, nights_of
from harness.history.records import Environment, Figures, HistoryEntry, NightStatus, RunFacts
from harness.plan.cells import Cell, make_cell
from harness.records.metrics import LATENCY
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format

SERIES, NIGHTS, MORE_NIGHTS, ASKED = 27_000, 370, 5, 200
CHUNK = 50_000
ENVIRONMENT = Environment(
    serial_hash="0" * 16,
    device_class="scripted phone",
    soc="simulated",
    os_build="simulated",
    runtime="simulated",
    runtime_version="1",
    delegate_used="cpu",
    runner="fake",
    data_sha256="",
)


def history(folder: Path) -> None:
    """Fill a history, then time what is done with it every night; the same on a server when its URL is given."""
    where = os.environ.get("PHONEBENCH_BENCHMARK_URL", str(folder / "history.sqlite"))
    with open_history(where, create=True) as opened:
        began = time.perf_counter()
        append(opened, run_facts(0), entries(0))
        fill(opened)
        print(f"history: {SERIES * NIGHTS:,} rows made in {time.perf_counter() - began:.0f} s")
        for night in range(NIGHTS, NIGHTS + MORE_NIGHTS):
            made, spent = entries(night), Spent()
            append(opened, run_facts(night), made)
            print(f"history: a night of {len(made):,} rows appended in {spent}")
        spent = Spent()
        again = append(opened, run_facts(night), made)
        print(f"history: the same night again in {spent}, {again.added} rows added")
        ask(opened)
    if "://" not in where:
        print(f"history: {Path(where).stat().st_size / 1e6:.0f} MB")


class Spent:
    """Wall and processor time since it was made; on a busy machine only the second says much."""

    def __init__(self) -> None:
        self.wall_s, self.own_s = time.perf_counter(), time.process_time()

    def stop(self) -> tuple[float, float]:
        """Return both, s."""
        return time.perf_counter() - self.wall_s, time.process_time() - self.own_s

    def __str__(self) -> str:
        wall, own = self.stop()
        return f"{wall:.2f} s (processor {own:.2f} s)"


def ask(opened: History) -> None:
    """Time the two questions, whose first answer also warms the caches."""
    names = [make_series(cells()[i], LATENCY).name for i in random.Random(1).sample(range(SERIES), ASKED)]
    print(f"history: one series: {timings([partial(nights_of, opened, name) for name in names])}")
    print(f"history: newest night of all series against seven: {timings([partial(latest, opened)] * 9)}")


def timings(calls: list[Callable[[], object]]) -> str:
    """Median, quickest and slowest of ``calls``, ms."""
    spent: list[tuple[float, float]] = []
    for call in calls:
        began = Spent()
        call()
        spent.append(began.stop())
    wall, own = (sorted(1e3 * times[i] for times in spent) for i in (0, 1))
    return f"{median(wall):.1f} ms ({wall[0]:.1f} to {wall[-1]:.1f}; processor {median(own):.1f} ms)"


def fill(opened: History) -> None:
    """Enter the nights that the product would have entered one by one, in the order of the key, which is quicker."""
    with opened.writing() as connection:
        runs = [run_row(night) for night in range(1, NIGHTS)]
        connection.execute(tables.run.insert(), runs)
    rows = values(range(2, NIGHTS + 1))
    while chunk := [row for row, _ in zip(rows, range(CHUNK), strict=False)]:
        with opened.writing() as connection:
            insert(connection, chunk)


def insert(connection: sa.Connection, chunk: list[tuple[object, ...]]) -> None:
    """One chunk by the driver's own bulk call."""
    names = ("series_id", "run_id", "attempt", "value", "low", "high", "p90", "mean", "mad", "count", "status")
    listed = (*names, "artifact_id", "environment_id", "conditions")
    quoted = ", ".join(f'"{name}"' for name in listed)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(listed))
        connection.exec_driver_sql(f"INSERT INTO value ({quoted}) VALUES ({marks})", chunk)
        return
    driver = connection.connection.cursor()
    with driver.copy(f"COPY value ({quoted}) FROM STDIN") as copy:
        for row in chunk:
            copy.write_row(row)


def values(runs: range) -> Iterator[tuple[object, ...]]:
    """Rows of every series for ``runs``, in the order of the key."""
    chance = random.Random(2)
    for series in range(1, SERIES + 1):
        level = 1e6 * (1 + series % 97)
        for run in runs:
            x = level * chance.gauss(1, 0.03)
            yield series, run, 0, x, 0.98 * x, 1.02 * x, 1.1 * x, x, 0.01 * x, 5, "ok", 1 + series % 500, 1, ""


def entries(night: int) -> list[HistoryEntry]:
    """A night of every series."""
    chance = random.Random(night)
    return [entry(cell, index, chance.gauss(1, 0.03)) for index, cell in enumerate(cells())]


def entry(cell: Cell, index: int, factor: float) -> HistoryEntry:
    """One value."""
    x = 1e6 * (1 + index % 97) * factor
    return HistoryEntry(
        series=make_series(cell, LATENCY),
        status=NightStatus.OK,
        figures=Figures(value=x, low=0.98 * x, high=1.02 * x, p90=1.1 * x, mean=x, mad=0.01 * x, count=5),
        environment=ENVIRONMENT,
        artifact_sha256=f"{index % 500:064x}",
        artifact_kind="onnx",
    )


def cells() -> list[Cell]:
    """So many cells: models on phones."""
    if not _CELLS:
        _CELLS.extend(
            make_cell(
                f"model{i % 270:03d}", "int8", Format.ONNX, Delegate.CPU, 1, f"fake:{i // 270}", ProfileName.STANDARD
            )
            for i in range(SERIES)
        )
    return _CELLS


_CELLS: list[Cell] = []


def run_facts(night: int) -> RunFacts:
    """The run of a night."""
    day = (date(2025, 11, 1) + timedelta(days=night)).isoformat()
    return RunFacts(
        name=f"{day}-run",
        night=day,
        created_at=f"{day}T01:00:00.000Z",
        finished_at=None,
        commit=f"{night:040x}",
        versions={"phonebench": "1"},
    )


def run_row(night: int) -> dict[str, object]:
    """The same as a row."""
    facts = run_facts(night)
    return {
        "name": facts.name,
        "night": facts.night,
        "created_at": facts.created_at,
        "commit_id": facts.commit,
        "versions": "{}",
    }
