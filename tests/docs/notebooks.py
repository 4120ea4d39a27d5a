"""Runs the notebooks of the documentation. As a program it stores their outputs: ``make notebooks``."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient

from harness.history.database import open_history
from harness.history.ingest import append
from tests.history.nights import OTHER_CELL, PHONE, entry, failed_entry, run_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
BRING, READ = FOLDER / "bring_a_model.ipynb", FOLDER / "read_a_night.ipynb"
# When the made-up series becomes slower, when a night is lost, and when the phone is updated.
SLOWER, LOST, UPDATED, NIGHTS = 45, 20, 70, 90


def write_nights(path: Path) -> None:
    """Write the made-up history that ``read_a_night`` reads."""
    with open_history(str(path), create=True) as history:
        for night in range(NIGHTS):
            # Noise without a generator, so that the stored outputs never change: the golden ratio spreads well.
            noise = ((night * 0.618_034) % 1 - 0.5) * 0.02
            level = 412_000 * (1.08 if night >= SLOWER else 1.0)
            phone = replace(PHONE, os_build="15.2") if night >= UPDATED else PHONE
            own = entry(round(level * (1 + noise)), environment=phone, artifact="aa" if night < SLOWER else "bb")
            other = entry(round(980_000 * (1 - noise)), cell=OTHER_CELL, environment=phone, artifact="cc")
            append(history, run_facts(night), [failed_entry() if night == LOST else own, other])


def executed(path: Path, cwd: Path) -> Any:
    """Return the notebook with the outputs of running it in ``cwd``; raises `CellExecutionError` if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    with _importable():
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": cwd}}).execute()
    for cell in notebook.cells:
        # When a cell ran is of no use to a reader.
        cell.metadata.pop("execution", None)
    return notebook


@contextmanager
def _importable() -> Iterator[None]:
    """The kernel is a process of its own, which must find this package."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(FOLDER.parents[1])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder
        write_nights(Path(folder) / "history.sqlite")
        for path in (BRING, READ):
            nbformat.write(executed(path, Path(folder)), path)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
