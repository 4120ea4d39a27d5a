"""What the build stage asks of a worker process and what comes back: one JSON line each way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.artifacts.manifest import Manifest
from harness.artifacts.sources.made_variant import Varied
from harness.artifacts.sources.prepared_model import Prepared
from harness.model.card import ModelCard
from harness.plan.cells import Build
from harness.records.sensitivity import Scan
from harness.spec.recipe import Recipe, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareTask:
    """Load the model and its data, run the float network, keep everything under ``key``."""

    card: ModelCard
    key: str
    cache_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaryTask:
    """Apply graph steps to a prepared model and keep the network they leave."""

    card: ModelCard
    steps: tuple[Step, ...]
    prepared_key: str
    cache_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTask:
    """Make one artifact; ``prepared_key`` names the prepared model, whose weights the artifact's key is made from.

    ``recipe`` is None for a ready-made file, which is only verified.
    """

    card: ModelCard
    build: Build
    recipe: Recipe | None
    prepared_key: str
    cache_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTask:
    """Find how sensitive each layer of a prepared model is to int8, on so many calibration ``inputs``."""

    card: ModelCard
    prepared_key: str
    cache_root: str
    inputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """Why a task came to nothing: a sentence, and where the log is."""

    message: str
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """One line to a worker; exactly one field is set."""

    prepare: PrepareTask | None = None
    vary: VaryTask | None = None
    export: ExportTask | None = None
    scan: ScanTask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResult:
    """One line from a worker; exactly one field is set. ``cached``: somebody else had made it meanwhile."""

    prepared: Prepared | None = None
    varied: Varied | None = None
    manifest: Manifest | None = None
    scan: Scan | None = None
    failure: TaskFailure | None = None
    cached: bool = False


def encode_line(message: WorkerTask | WorkerResult) -> bytes:
    """Return ``message`` as one line of JSON."""
    return msgspec.json.encode(message, enc_hook=str) + b"\n"


def decode_task(line: bytes) -> WorkerTask:
    """Read a line that the parent wrote."""
    return msgspec.json.decode(line, type=WorkerTask, dec_hook=_decode_path)


def decode_result(line: bytes) -> WorkerResult:
    """Read a line that a worker wrote."""
    return msgspec.json.decode(line, type=WorkerResult, dec_hook=_decode_path)


def _decode_path(kind: type, value: Any) -> Any:
    """Paths travel as text; nothing else in these records needs help."""
    if kind is Path or issubclass(kind, Path):
        return Path(value)
    msg = f"cannot read a {kind.__name__}"
    raise NotImplementedError(msg)
