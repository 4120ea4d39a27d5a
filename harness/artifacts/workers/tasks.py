"""What the build stage asks of a worker process and what comes back: one line of JSON each way."""

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
    """Load the model and its data, run the float network, and store everything under ``key``."""

    card: ModelCard
    key: str
    cache_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaryTask:
    """Apply graph steps to a prepared model and store the network that they produce."""

    card: ModelCard
    steps: tuple[Step, ...]
    prepared_key: str
    cache_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTask:
    """Make one artifact. ``prepared_key`` names the prepared model, whose weights are part of the artifact's key.

    ``recipe`` is None for a ready-made file, which is only verified.
    """

    card: ModelCard
    build: Build
    recipe: Recipe | None
    prepared_key: str
    cache_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTask:
    """Find out how sensitive each layer of a prepared model is to int8, on up to ``inputs`` calibration inputs."""

    card: ModelCard
    prepared_key: str
    cache_root: str
    inputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """Why a task failed: a sentence, and the path of the log."""

    message: str
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """One line to a worker. Exactly one field is set."""

    prepare: PrepareTask | None = None
    vary: VaryTask | None = None
    export: ExportTask | None = None
    scan: ScanTask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResult:
    """One line from a worker. Exactly one record is set. ``cached``: another process had made it in the meantime."""

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
    """Read a line written by the parent."""
    return msgspec.json.decode(line, type=WorkerTask, dec_hook=_decode_path)


def prepare_decoding() -> None:
    """Prepare the decoders of results now, before several threads need them: see `harness.system.decoding`."""
    msgspec.json.Decoder(WorkerResult, dec_hook=_decode_path)


def decode_result(line: bytes) -> WorkerResult:
    """Read a line written by a worker."""
    return msgspec.json.decode(line, type=WorkerResult, dec_hook=_decode_path)


def _decode_path(kind: type, value: Any) -> Any:
    """Decode paths, which are sent as text; everything else in these records is decoded by msgspec itself."""
    if kind is Path or issubclass(kind, Path):
        return Path(value)
    msg = f"cannot read a {kind.__name__}"
    raise NotImplementedError(msg)
