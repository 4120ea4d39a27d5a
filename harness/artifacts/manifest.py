"""What is known of an artifact: the record beside the file in the cache, and the stage's output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from harness.records.artifact import CalibrationSource
from harness.records.steps import StepReport
from harness.spec.formats import Backend
from harness.spec.recipe import STEP_PACKAGES, Fuse, Recipe
from harness.wire import Format, TensorSpec

# 2 (2026-11): recipes with steps and knobs; what the steps did; sizes of the network; the compressed size.
# 1 (2026-11): the first.
SCHEMA = 2


class ArtifactState(StrEnum):
    """``unverified``: exported, but its runtime is not to be had here, so that no gate could run it. ``broken``: the
    gate refused it. ``failed``: the exporter or its process died; never cached.
    """

    READY = "ready"
    UNVERIFIED = "unverified"
    BROKEN = "broken"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


# States in which there is a file that a device may be given.
RUNNABLE = (ArtifactState.READY, ArtifactState.UNVERIFIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A further file of an artifact, which goes wherever the artifact goes, under its own name."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactInputs:
    """The test inputs as an artifact takes them, where that is not as the model does: a file beside the artifact."""

    file: str
    sha256: str
    tensors: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One artifact: where it came from, what it is, and what the gate saw.

    ``sqnr_db`` and ``agreement`` (0…1) are against the float network on ``gate_inputs`` inputs, None without one;
    ``own_sqnr_db`` is against the variant's own network after its graph steps, None without steps, and is what the gate
    judges. ``checked`` says what could be seen of a file that was not run. ``steps`` is what the graph steps did.
    ``compressed_bytes`` is the size deflated, as an app store ships it; both sizes include those of ``companions``.
    ``inputs`` is set where images go in with their channels last. ``kept_float`` names the layers that a mixed
    precision left in float. ``versions`` are those of the packages that took part; ``seconds`` is what the export took,
    wall.
    """

    schema: int = SCHEMA
    key: str
    model: str
    variant: str
    recipe: Recipe | None
    format: Format
    backend: Backend | None
    state: ArtifactState
    reason: str | None = None
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    companions: tuple[Companion, ...] = ()
    inputs: ArtifactInputs | None = None
    checked: str | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    gate_inputs: int = 0
    own_sqnr_db: float | None = None
    steps: tuple[StepReport, ...] = ()
    parameters: int | None = None
    macs: int | None = None
    compressed_bytes: int | None = None
    kept_float: tuple[str, ...] = ()
    calibration: CalibrationSource = CalibrationSource.NONE
    versions: dict[str, str]
    seconds: float = 0.0
    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A manifest and where its file is; ``path`` is None for an artifact that was not made."""

    manifest: Manifest
    path: Path | None


def untrained_steps(manifest: Manifest) -> str:
    """Return the graph steps of an artifact that damaged it and were not followed by training, joined by commas."""
    last_training = max((i for i, step in enumerate(manifest.steps) if step.training), default=-1)
    return ", ".join(s.step for s in manifest.steps[last_training + 1 :] if s.step != Fuse.__struct_config__.tag)


# Packages whose code decides what graph steps leave of a network, and a count of our own changes to that.
VARIANT_PACKAGES = tuple(dict.fromkeys(name for names in STEP_PACKAGES.values() for name in names))
VARIANT_REVISION = 1


class _Versioned(Protocol):
    @property
    def schema(self) -> int: ...


_Record = TypeVar("_Record", bound=_Versioned)


def read_record(path: Path, kind: type[_Record], schema: int) -> _Record:
    """Read a record of the cache. Raises `ValueError` when it is damaged or of another schema."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=kind)
    except ValueError as error:
        msg = f"{path.name} cannot be read: {error}"
        raise ValueError(msg) from error
    if record.schema != schema:
        msg = f"{path.name} has schema {record.schema}, this version writes {schema}"
        raise ValueError(msg)
    return record
