"""Unpacks what a cloud sends back into the results folder, and marks every measurement as the cloud's."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from harness.clouds.cloud import EXIT_CODE_FILE
from harness.errors import CloudError, StoreError
from harness.records.conditions import Condition, ConditionId
from harness.store.reader import list_runs, read_folder
from harness.store.records import MEASUREMENTS_FILE, RunRecord
from harness.system.files import storage_errors, write_whole

# More than a run of many files leaves, and less than a disk holds.
MOST_BYTES = 4 << 30


def take_run(archive: Path, results: Path, cloud: str) -> RunRecord:
    """Move the run in ``archive`` into ``results`` and return it. Taking it again returns the one that is there.

    Raises `CloudError` if there is no run in it, with what phonebench said in the cloud, and `StoreError`.
    """
    with tempfile.TemporaryDirectory() as name, storage_errors(results):
        folder = Path(name)
        _unpack(archive, folder)
        runs = list_runs(folder / "results")
        if not runs:
            msg = f"the job measured nothing; phonebench said there: {_said(folder / 'results')}"
            raise CloudError(msg)
        source, target = folder / "results" / runs[-1], results / runs[-1]
        if target.exists():
            return read_folder(target)
        _mark(source, cloud)
        results.mkdir(parents=True, exist_ok=True)
        # Moved under a private name first: a copy between disks is not done in one step.
        part = results / f".{runs[-1]}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.move(source, part)
        part.rename(target)
    return read_folder(target)


def _mark(folder: Path, cloud: str) -> None:
    condition = Condition(
        id=ConditionId.CLOUD,
        summary=f"measured in {cloud}",
        detail="The phone is the cloud's: it changes from job to job, and nobody knows what else it does.",
    )
    run = read_folder(folder)
    marked = [replace(m, conditions=(*m.conditions, condition)) for m in run.measurements]
    lines = b"".join(msgspec.json.encode(m) + b"\n" for m in marked)
    write_whole(folder / MEASUREMENTS_FILE, lines)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack plain files and folders; the filter refuses paths outside ``folder``, devices and links that leave it."""
    try:
        with tarfile.open(archive) as opened:
            if sum(member.size for member in opened.getmembers()) > MOST_BYTES:
                msg = f"the results unpack to more than {MOST_BYTES >> 30} GiB, which no run does: they are not taken"
                raise StoreError(msg)
            opened.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        msg = f"the results {archive.name!r} are damaged ({error}): fetch them again"
        raise CloudError(msg, passing=True) from error


def _said(folder: Path) -> str:
    texts = []
    for name in ("install.txt", "run.txt", EXIT_CODE_FILE):
        path = folder / name
        if path.is_file():
            texts += [line for line in path.read_text(errors="replace").splitlines() if line.strip()][-2:]
    return "; ".join(texts)[-500:] or "nothing"
