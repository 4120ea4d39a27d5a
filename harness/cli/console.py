"""Prints tables, JSON and progress: bars on a terminal, plain lines in a pipe or a log."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.system.text import cell_width, wrap

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from harness.progress import Progress
    from harness.store.records import RunRecord


_T = TypeVar("_T")
# The narrowest last column that wraps beside the others; with less room there would be a word or two on each line.
_LEAST_WRAPPED = 24
# How long a log may be silent while work goes on, in seconds.
QUIET_S = 30.0


def print_json(value: Any) -> None:
    """Print ``value`` as JSON, readable and stable."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False))


def print_run(run: RunRecord) -> None:
    """Print a stored run: wrapped and in colour on a terminal, unwrapped in a pipe."""
    from harness.report.formats.terminal import run_lines

    terminal = sys.stdout.isatty()
    # https://no-color.org: set to anything but the empty string.
    colour = terminal and not os.environ.get("NO_COLOR")
    for line in run_lines(run, _terminal_width() if terminal else None):
        click.echo(line, color=colour)


def _terminal_width() -> int:
    # shutil loads the archive formats it can pack, which takes time and is useless for a pipe.
    import shutil

    return shutil.get_terminal_size().columns


def open_file(path: Path) -> None:
    """Open ``path`` with the program that the desktop uses for it; say so where there is none."""
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        click.echo(f"nothing here can open {path}: copy it to a computer with a browser", err=True)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as the terminal; where there is none, every row is one line."""
    width = _terminal_width() if sys.stdout.isatty() else None
    heading, *others = _blocks(titles, rows, width)
    for line in heading:
        click.echo(click.style(line, bold=True))
    for line in (line for block in others for line in block):
        click.echo(line)


def table_lines(titles: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None) -> list[str]:
    """Return the lines of a table that fits ``width`` cells, None for any width.

    The last column wraps between words; where it has no room it gets lines of its own below its row. If the others are
    too wide together, the widest of them becomes a line of its own above each row.
    """
    return [line for block in _blocks(titles, rows, width) for line in block]


def _blocks(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[list[str]]:
    """The lines of the titles and of each row."""
    table = [[" ".join(cell.split()) for cell in row] for row in (titles, *rows)]
    widths = [max(map(cell_width, column)) for column in zip(*table, strict=True)]
    # There is a space between columns.
    if width is None or len(widths) < 3 or sum(widths[:-1]) + len(widths) - 2 <= width:
        return [_row_lines(row, widths, width) for row in table]
    widest = widths.index(max(widths[:-1]))
    blocks = []
    for row in table:
        above = wrap(row[widest], width, indent=4) if row[widest] else []
        rest = _without(row, widest)
        # A row with nothing but its last cell needs no place in the grid.
        alone = wrap(rest[-1], width - 2) if rest[-1] else []
        inset = _row_lines(rest, _without(widths, widest), width - 2) if any(rest[:-1]) else alone
        blocks.append(above + [f"  {line}" for line in inset])
    return blocks


def _without(values: Sequence[_T], index: int) -> list[_T]:
    return [*values[:index], *values[index + 1 :]]


def _row_lines(row: Sequence[str], widths: Sequence[int], width: int | None) -> list[str]:
    """One row, its columns padded to ``widths``."""
    indent = sum(widths[:-1]) + len(widths) - 1
    start = " ".join(cell + " " * (size - cell_width(cell)) for cell, size in zip(row, widths[:-1], strict=False))
    start = f"{start} " if start else ""
    if width is None or cell_width(f"{start}{row[-1]}".rstrip()) <= width:
        return [f"{start}{row[-1]}".rstrip()]
    if width - indent >= _LEAST_WRAPPED:
        return wrap(start + row[-1], width, indent=indent)
    return wrap(start.rstrip(), width, indent=4) + (wrap(" " * 4 + row[-1], width, indent=4) if row[-1] else [])


def make_progress() -> Progress:
    """Return bars for a terminal, lines otherwise. Both go to standard error; standard output is for results."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """Prints one line per finished unit, with its outcome and the count so far.

    While nothing finishes, it prints every ``quiet_s`` seconds what is being worked on, so that the log of a build that
    takes many minutes shows that it is alive.
    """

    def __init__(self, *, quiet_s: float = QUIET_S) -> None:
        self._stage, self._total, self._done = "", 0, 0
        self._since = self._printed = time.monotonic()
        self._quiet_s = quiet_s
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()

    def start(self, stage: str, total: int) -> None:
        """Print how much there is to do."""
        self._stage, self._total, self._done = stage, total, 0
        self._since = time.monotonic()
        self._running = {}
        self._over = threading.Event()
        self._print(f"{stage}: {total} to do")
        threading.Thread(target=self._watch, args=(self._over,), daemon=True).start()

    def begin(self, unit: str) -> None:
        """Print nothing: the line follows when the unit is done, or when it takes long."""
        with self._lock:
            self._running[unit] = time.monotonic()

    def end(self, unit: str) -> None:
        """Print nothing: the unit is not counted."""
        with self._lock:
            self._running.pop(unit, None)

    def step(self, unit: str, outcome: str) -> None:
        """Print the outcome of a unit."""
        with self._lock:
            self._running.pop(unit, None)
            self._done += 1
            # What is repeated was not planned: more may be done than there was to do.
            self._total = max(self._total, self._done)
            self._print(f"{self._stage} {self._done}/{self._total} {unit}: {outcome}")

    def finish(self) -> None:
        """Print how long the stage took."""
        self._over.set()
        self._print(f"{self._stage}: {self._done} done in {time.monotonic() - self._since:.1f} s")

    def _watch(self, over: threading.Event) -> None:
        """Print what is being worked on whenever nothing was printed for a while, until the stage is ``over``."""
        while not over.wait(max(0.0, self._printed + self._quiet_s - time.monotonic())):
            with self._lock:
                now = time.monotonic()
                if over.is_set() or now < self._printed + self._quiet_s:
                    continue
                units = ", ".join(f"{unit} ({now - began:.0f} s)" for unit, began in self._running.items())
                doing = f"in progress: {units}" if units else f"still running after {now - self._since:.0f} s"
                self._print(f"{self._stage} {self._done}/{self._total}, {doing}")

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        click.echo(line, err=True)


class Bars:
    """Shows one bar per stage with the current unit and the time left; finished units scroll by above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import TaskID

        self._console = Console(stderr=True, highlight=False)
        self._progress: RichProgress | None = None
        self._task = TaskID(0)

    def start(self, stage: str, total: int) -> None:
        """Show the bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.fields[stage]:>8}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total, stage=stage)
        self._progress.start()

    def begin(self, unit: str) -> None:
        """Show the unit beside the bar."""
        if self._progress is not None:
            self._progress.update(self._task, description=unit)

    def end(self, unit: str) -> None:
        """Change nothing: the next unit follows."""

    def step(self, unit: str, outcome: str) -> None:
        """Advance the bar, and print the outcome above it."""
        if self._progress is None:
            return
        self._console.print(f"  {unit}: {outcome}", markup=False, soft_wrap=True)
        self._progress.advance(self._task)
        task = self._progress.tasks[0]
        # What is repeated was not planned: more may be done than there was to do.
        if task.total is not None and task.completed > task.total:
            self._progress.update(self._task, total=task.completed)

    def finish(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
