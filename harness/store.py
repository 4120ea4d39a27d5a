"""The results folder: the only code that reads or writes ``results/``.

    results/probes.json                   the best speed probe of each device, for the gate before a launch
    results/<run id>/run.json             what was asked, resolved; models, devices, versions, commit
                     measurements.jsonl   one line a cell, flushed to disk as soon as it is known
                     ab.json              the pairs and the verdict, of a comparison in one session
                     replies/             raw replies and outputs of the runners, compressed, by digest
                     report.html  table.csv  charts/

The one decision: nothing is ever changed in place. ``run.json`` is replaced by rename, ``measurements.jsonl`` only
grows, a line without its line end was cut off by a kill and does not count; so a run is readable at any instant.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import secrets
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from harness.errors import StoreError, UsageError
from harness.plan.cells import Plan
from harness.records.device import DeviceInfo
from harness.records.measurement import SCHEMA as MEASUREMENT_SCHEMA
from harness.records.measurement import Measurement
from harness.spec.goal import Goal
from harness.spec.spec import Spec
from harness.system.files import storage_errors, write_whole
from harness.wire import RunReply, decode_reply

log = logging.getLogger(__name__)

# 1 (2026-11): the first.
SCHEMA = 1

RUN_FILE = "run.json"
MEASUREMENTS_FILE = "measurements.jsonl"
REPLIES_FOLDER = "replies"
PROBES_FILE = "probes.json"
AB_FILE = "ab.json"
LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a report says of a model; ``float_correct`` of ``test_count`` is the float network's own top-1 here.

    ``whole`` is the name of the model that this one is a part of.
    """

    name: str
    task: str
    license: str
    source: str
    random_weights: bool
    weights_sha256: str
    data_sha256: str | None
    parameters: int | None
    test_count: int
    calibration_count: int
    labelled: bool
    float_correct: int | None
    whole: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """The content of ``run.json``. Times are ISO 8601, UTC. ``goal`` is set for a search, whose plan grows."""

    schema: int = SCHEMA
    id: str
    created_at: str
    finished_at: str | None = None
    spec: Spec
    plan: Plan
    models: tuple[ModelFacts, ...] = ()
    devices: tuple[DeviceInfo, ...] = ()
    host: DeviceInfo
    versions: dict[str, str]
    commit: str | None
    goal: Goal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as stored: what was asked, on what, and what is known so far. Times are ISO 8601, UTC.

    ``damaged_lines`` counts lines of ``measurements.jsonl`` that could not be read (their cells are pending again).
    """

    id: str
    directory: Path
    created_at: str
    finished_at: str | None
    spec: Spec
    plan: Plan
    models: tuple[ModelFacts, ...]
    devices: tuple[DeviceInfo, ...]
    host: DeviceInfo
    versions: dict[str, str]
    commit: str | None
    measurements: tuple[Measurement, ...]
    damaged_lines: int = 0
    goal: Goal | None = None


class RunWriter:
    """The one writer of a run folder; made by `create_run` or `reopen_run`. Several threads may add and keep."""

    def __init__(self, folder: Path, head: RunHead) -> None:
        self.folder = folder
        self.head = head
        self._one_at_a_time = threading.Lock()

    def update(
        self,
        *,
        models: tuple[ModelFacts, ...] | None = None,
        devices: tuple[DeviceInfo, ...] | None = None,
        finished_at: str | None = None,
    ) -> None:
        """Replace what has become known of the run; None leaves a field as it is."""
        self.head = replace(
            self.head,
            models=self.head.models if models is None else models,
            devices=self.head.devices if devices is None else devices,
            finished_at=self.head.finished_at if finished_at is None else finished_at,
        )
        self._write_head()

    def grow(self, spec: Spec, plan: Plan, goal: Goal) -> None:
        """Replace what is asked for by more of it: a search finds its cells on the way. Cells are never taken away."""
        self.head = replace(self.head, spec=spec, plan=plan, goal=goal, finished_at=None)
        self._write_head()

    def add(self, measurement: Measurement) -> None:
        """Append a measurement and wait until it is on disk."""
        path = self.folder / MEASUREMENTS_FILE
        with self._one_at_a_time, storage_errors(self.folder), path.open("ab") as file:
            file.write(msgspec.json.encode(measurement) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def keep(self, data: bytes, suffix: str) -> str:
        """Keep ``data`` compressed under its SHA-256, which is returned; the same data is kept once."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / REPLIES_FOLDER / f"{digest}{suffix}.gz"
        if not path.exists():
            # Level 1: samples compress well at any level, and the next launch waits for this; other phones do not.
            packed = gzip.compress(data, compresslevel=1, mtime=0)
            with self._one_at_a_time, storage_errors(self.folder):
                write_whole(path, packed)
        return digest

    def record(self) -> RunRecord:
        """Return the run as it is stored now."""
        return _read_folder(self.folder)

    def _write_head(self) -> None:
        with storage_errors(self.folder):
            write_whole(self.folder / RUN_FILE, msgspec.json.format(msgspec.json.encode(self.head), indent=1))


@contextmanager
def create_run(root: Path, head: RunHead) -> Iterator[RunWriter]:
    """Make the folder of a new run, write its head, and hold it. Raises `StoreError` when it cannot be written."""
    folder = root / head.id
    with storage_errors(root):
        # A folder without a head is a beginning that was killed.
        folder.mkdir(parents=True, exist_ok=not (folder / RUN_FILE).exists())
        (folder / REPLIES_FOLDER).mkdir(exist_ok=True)
    with _held(folder):
        writer = RunWriter(folder, head)
        writer.update()
        yield writer


@contextmanager
def reopen_run(root: Path, name: str) -> Iterator[RunWriter]:
    """Hold an existing run in order to go on with it; a line that a kill cut off is removed first.

    Raises `StoreError` when another process holds it or it cannot be read, `UsageError` when there is none.
    """
    folder = find_run(root, name)
    with _held(folder):
        head = _read_head(folder)
        _drop_partial_line(folder / MEASUREMENTS_FILE)
        yield RunWriter(folder, head)


def new_run_id(now: datetime) -> str:
    """Return an id that sorts by time and that two runs started in one second do not share."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def find_run(root: Path, name: str) -> Path:
    """Return the folder of a run given by id, by unique prefix, by path, or as ``latest``.

    Raises `UsageError` when there is none, or when a prefix fits several.
    """
    if (Path(name) / RUN_FILE).is_file():
        return Path(name)
    runs = list_runs(root)
    if not runs:
        msg = f"there are no runs in {str(root)!r}; make one with: phonebench run"
        raise UsageError(msg)
    if name == LATEST:
        return root / runs[-1]
    found = [run for run in runs if run == name] or [run for run in runs if run.startswith(name)]
    if len(found) == 1:
        return root / found[0]
    what = f"fits {len(found)} runs ({', '.join(found[:4])})" if found else f"is no run in {str(root)!r}"
    msg = f"{name!r} {what}; the newest is {runs[-1]!r}, see: phonebench show --list"
    raise UsageError(msg)


def list_runs(root: Path) -> tuple[str, ...]:
    """Return the ids of the runs in ``root``, oldest first."""
    if not root.is_dir():
        return ()
    return tuple(sorted(folder.name for folder in root.iterdir() if (folder / RUN_FILE).is_file()))


def load_run(root: Path, name: str) -> RunRecord:
    """Read a run. Raises `UsageError` when there is none, `StoreError` when it is damaged or of another version."""
    return _read_folder(find_run(root, name))


def read_reply(run: RunRecord, sha256: str) -> RunReply:
    """Read a kept reply. Raises `StoreError` when it is missing or damaged."""
    path = run.directory / REPLIES_FOLDER / f"{sha256}.json.gz"
    try:
        data = gzip.decompress(path.read_bytes())
        if hashlib.sha256(data).hexdigest() != sha256:
            msg = f"the kept reply {str(path)!r} has changed: its content no longer has its digest"
            raise StoreError(msg)
        return decode_reply(data)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        msg = f"the kept reply {str(path)!r} cannot be read: {error}"
        raise StoreError(msg) from error


def read_probes(root: Path) -> dict[str, int]:
    """Return the best probe in ns by device. A file that is not there or damaged holds none: it is measured anew."""
    try:
        return msgspec.json.decode((root / PROBES_FILE).read_bytes(), type=dict[str, int])
    except (OSError, ValueError) as error:
        log.debug("no probes: %s", error)
        return {}


def keep_probes(root: Path, probes: dict[str, int]) -> None:
    """Write what `read_probes` reads. Raises `StoreError`."""
    with storage_errors(root):
        write_whole(root / PROBES_FILE, msgspec.json.encode(probes))


def write_text(run: RunRecord, name: str, text: str) -> Path:
    """Write a file of the report beside the results, whole or not at all, and return its path."""
    path = run.directory / name
    with storage_errors(run.directory):
        path.parent.mkdir(exist_ok=True)
        write_whole(path, text.encode())
    return path


def write_beside(root: Path, name: str, text: str) -> Path:
    """Write a file that belongs to no run below the results folder, whole or not at all, and return its path."""
    path = root / name
    with storage_errors(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    return path


def _read_folder(folder: Path) -> RunRecord:
    head = _read_head(folder)
    measurements, damaged = _read_measurements(folder / MEASUREMENTS_FILE)
    return RunRecord(
        id=head.id,
        directory=folder,
        created_at=head.created_at,
        finished_at=head.finished_at,
        spec=head.spec,
        plan=head.plan,
        models=head.models,
        devices=head.devices,
        host=head.host,
        versions=head.versions,
        commit=head.commit,
        measurements=measurements,
        damaged_lines=damaged,
        goal=head.goal,
    )


def _read_head(folder: Path) -> RunHead:
    path = folder / RUN_FILE
    try:
        data = path.read_bytes()
        _check_schema(data, SCHEMA, str(path))
        return msgspec.json.decode(data, type=RunHead)
    # A value error is JSON or UTF-8 that is none; a spec can hold names that this version does not know.
    except (OSError, ValueError, UsageError) as error:
        msg = f"{str(path)!r} cannot be read: {error}; the run's replies and measurements beside it are untouched"
        raise StoreError(msg) from error


def _read_measurements(path: Path) -> tuple[tuple[Measurement, ...], int]:
    """The measurements in order, the last one of a cell counting, and how many lines could not be read."""
    if not path.exists():
        return (), 0
    found: dict[str, Measurement] = {}
    damaged = 0
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        msg = f"{str(path)!r} cannot be read: {error}"
        raise StoreError(msg) from error
    # What follows the last line end is a line that a kill cut off, or nothing.
    for line in lines[:-1]:
        try:
            _check_schema(line, MEASUREMENT_SCHEMA, str(path))
            measurement = msgspec.json.decode(line, type=Measurement)
        except ValueError as error:
            log.warning("a line of %s cannot be read (%s); its cell counts as not run", path, error)
            damaged += 1
            continue
        found[measurement.cell] = measurement
    return tuple(found.values()), damaged


class _Versioned(msgspec.Struct):
    schema: int


def _check_schema(data: bytes, wanted: int, where: str) -> None:
    found = msgspec.json.decode(data, type=_Versioned).schema
    if found != wanted:
        msg = f"{where!r} has schema {found}, this phonebench reads schema {wanted}: use the version it is of"
        raise StoreError(msg)


def _drop_partial_line(path: Path) -> None:
    if not path.exists():
        return
    with storage_errors(path.parent), path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with storage_errors(folder):
            lock.acquire()
    except Timeout:
        msg = f"the run {folder.name!r} is being worked on by another process; wait for it, or start a new run"
        raise StoreError(msg) from None
    try:
        yield
    finally:
        lock.release()
