"""Writes a run: `create_run` starts one, `reopen_run` resumes one."""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from harness.errors import StoreError
from harness.plan.cells import Plan
from harness.readers.graph import Graph
from harness.records.device import DeviceInfo
from harness.records.measurement import Measurement
from harness.spec.goal import Goal
from harness.spec.spec import Spec
from harness.store.reader import find_run, read_folder, read_head
from harness.store.records import (
    GRAPHS_FOLDER,
    MEASUREMENTS_FILE,
    REPLIES_FOLDER,
    RUN_FILE,
    ModelFacts,
    RunHead,
    RunRecord,
)
from harness.system.files import storage_errors, write_whole


class RunWriter:
    """The only writer of a run folder, from `create_run` or `reopen_run`. Several threads may call `add` and `keep`."""

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
        """Store facts that were not known when the run started; None leaves a field unchanged."""
        self.head = replace(
            self.head,
            models=self.head.models if models is None else models,
            devices=self.head.devices if devices is None else devices,
            finished_at=self.head.finished_at if finished_at is None else finished_at,
        )
        self._write_head()

    def grow(self, spec: Spec, plan: Plan, goal: Goal) -> None:
        """Replace spec, plan and goal by larger ones: a search adds cells as it goes, and never removes one."""
        self.head = replace(self.head, spec=spec, plan=plan, goal=goal, finished_at=None)
        self._write_head()

    def add(self, measurement: Measurement) -> None:
        """Append a measurement and return once it is on disk."""
        self.add_all((measurement,))

    def add_all(self, measurements: Iterable[Measurement]) -> None:
        """Append measurements that are known at once, such as imported ones, and return once they are on disk."""
        path = self.folder / MEASUREMENTS_FILE
        with self._one_at_a_time, storage_errors(self.folder), path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(measurement) + b"\n" for measurement in measurements))
            # A measurement takes minutes to repeat: it must survive a power cut right after it.
            file.flush()
            os.fsync(file.fileno())

    def keep(self, data: bytes, suffix: str) -> str:
        """Store ``data`` compressed under its SHA-256, and return the digest; equal data is stored once."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / REPLIES_FOLDER / f"{digest}{suffix}.gz"
        if not path.exists():
            # Level 1: samples compress well at any level, and the next launch waits for this. Packing happens before
            # the lock is taken, so that other phones do not wait as well.
            packed = gzip.compress(data, compresslevel=1, mtime=0)
            with self._one_at_a_time, storage_errors(self.folder):
                write_whole(path, packed)
        return digest

    def keep_graph(self, graph: Graph, sha256: str) -> None:
        """Store the network that is in the file with the digest ``sha256``, unless the run has it."""
        path = self.folder / GRAPHS_FOLDER / f"{sha256}.json.gz"
        if not path.exists():
            packed = gzip.compress(msgspec.json.encode(graph), mtime=0)
            with storage_errors(self.folder):
                path.parent.mkdir(exist_ok=True)
                write_whole(path, packed)

    def record(self) -> RunRecord:
        """Read the run as it is stored now."""
        return read_folder(self.folder)

    def _write_head(self) -> None:
        with storage_errors(self.folder):
            write_whole(self.folder / RUN_FILE, msgspec.json.format(msgspec.json.encode(self.head), indent=1))


@contextmanager
def create_run(root: Path, head: RunHead) -> Iterator[RunWriter]:
    """Create the folder of a new run, write its head, and lock it. Raises `StoreError` when it cannot be written."""
    folder = root / head.id
    with storage_errors(root):
        # A folder without a head belongs to a run that was killed before it started, and may be used again.
        folder.mkdir(parents=True, exist_ok=not (folder / RUN_FILE).exists())
        (folder / REPLIES_FOLDER).mkdir(exist_ok=True)
    with _held(folder):
        writer = RunWriter(folder, head)
        writer.update()
        yield writer


@contextmanager
def reopen_run(root: Path, name: str) -> Iterator[RunWriter]:
    """Lock an existing run so that it can be resumed; a line that a kill cut off is removed first.

    Raises `StoreError` when another process has locked it or it cannot be read, `UsageError` when there is none.
    """
    folder = find_run(root, name)
    with _held(folder):
        head = read_head(folder)
        _drop_partial_line(folder / MEASUREMENTS_FILE)
        yield RunWriter(folder, head)


def new_run_id(now: datetime) -> str:
    """Return an id that sorts by time, to 1/4096 s; random last digits tell apart runs that start together."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 4096 // 1_000_000:03x}{secrets.token_hex(2)[:3]}"


def write_text(run: RunRecord, name: str, text: str) -> Path:
    """Write a file into the run's folder, whole or not at all, and return its path."""
    return write_beside(run.directory, name, text)


def write_beside(root: Path, name: str, text: str) -> Path:
    """Write the file ``name`` below the folder ``root``, whole or not at all, and return its path."""
    return write_data(root, name, text.encode())


def write_data(root: Path, name: str, data: bytes) -> Path:
    """Write ``data`` as `write_beside` writes text. Raises `StoreError` if it cannot be written."""
    path = root / name
    with storage_errors(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return path


def _drop_partial_line(path: Path) -> None:
    if not path.exists():
        return
    with storage_errors(path.parent), path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    # The system frees the lock when its process dies, so a killed run can be resumed at once.
    lock = FileLock(folder / ".lock", timeout=0)
    with storage_errors(folder):
        try:
            lock.acquire()
        except Timeout:
            msg = f"run {folder.name!r} is in use by another process; wait for it, or start a new run"
            raise StoreError(msg) from None
    try:
        yield
    finally:
        lock.release()
