"""The manifest: the record next to an artifact's file in the cache, and the output of the build stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar, get_args

from harness.records.artifact import CalibrationSource, FileTypes
from harness.records.conditions import Condition
from harness.records.steps import StepReport
from harness.spec.formats import Backend
from harness.spec.recipe import STEP_PACKAGES, Exact, Recipe, step_name
from harness.system.decoding import decode_json
from harness.system.files import file_sha256
from harness.wire import Format, TensorSpec

# 2 (2026-11): recipes with steps and knobs; what the steps did; sizes of the network; the compressed size. 1 (2026-11):
# the first version.
SCHEMA = 2


class ArtifactState(StrEnum):
    """What became of an artifact.

    ``unverified``: exported, but its runtime is not available here, so it was not verified. ``broken``: it failed
    verification. ``unsupported``: it cannot be made, for a known reason. ``failed``: the exporter or its process died;
    this state is never cached.
    """

    READY = "ready"
    UNVERIFIED = "unverified"
    BROKEN = "broken"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


# States in which there is a file that may be given to a device.
RUNNABLE = (ArtifactState.READY, ArtifactState.UNVERIFIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Another file of an artifact. It goes wherever the artifact goes, under its own name."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactInputs:
    """The artifact's own test inputs, a file next to it, if it takes them in another layout than the model."""

    file: str
    sha256: str
    tensors: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One artifact: where it came from, what it is, and the results of its verification.

    ``sqnr_db`` and ``agreement`` (0…1) compare it with the float network on ``gate_inputs`` inputs; None without a
    float network, or if no output can be compared. ``sqnr_min_db`` is the SQNR of the worst of those inputs,
    ``worst_input`` its index in the test split, and ``differing`` counts the inputs that differ by more than the
    precision explains. ``own_sqnr_db`` compares it with the variant's network after its graph steps and is what
    verification judges; None without steps. ``conditions`` come from how the file was made and from its outputs.
    ``checked`` describes a file that could not be run. ``steps`` is what the graph steps did. ``compressed_bytes``
    is the deflated size, which an app store transfers; both sizes include ``companions``. ``inputs`` is set if
    images go in with their channels last. ``kept_float`` names the layers that a mixed precision left in float.
    ``types``: the types of the numbers in the file, None if unknown. ``versions`` are those of the packages that
    took part, and ``seconds`` is the wall time of the export.
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
    sqnr_min_db: float | None = None
    worst_input: int | None = None
    differing: int = 0
    conditions: tuple[Condition, ...] = ()
    steps: tuple[StepReport, ...] = ()
    parameters: int | None = None
    macs: int | None = None
    compressed_bytes: int | None = None
    kept_float: tuple[str, ...] = ()
    calibration: CalibrationSource = CalibrationSource.NONE
    types: FileTypes | None = None
    versions: dict[str, str]
    seconds: float = 0.0
    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A manifest and the path of its file, which is None if there is no file."""

    manifest: Manifest
    path: Path | None


def untrained_steps(manifest: Manifest) -> str:
    """Return the graph steps that damaged the network and were not followed by training, joined by commas."""
    last_training = max((i for i, step in enumerate(manifest.steps) if step.training), default=-1)
    harmless = [step_name(step) for step in get_args(Exact)]
    return ", ".join(s.step for s in manifest.steps[last_training + 1 :] if s.step not in harmless)


# The packages whose code decides what graph steps do to a network. Raise the revision when our own code changes the
# result of a step.
VARIANT_PACKAGES = tuple(dict.fromkeys(name for names in STEP_PACKAGES.values() for name in names))
VARIANT_REVISION = 2


def check_files(folder: Path, digests: Mapping[str, str | None]) -> None:
    """Raise `ValueError` unless each file in ``folder`` has the SHA-256 that ``digests`` gives for its name."""
    for name, sha256 in digests.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            msg = f"{name} is missing or its content has changed"
            raise ValueError(msg)


class _HasSchema(Protocol):
    @property
    def schema(self) -> int: ...


_Record = TypeVar("_Record", bound=_HasSchema)


def read_record(path: Path, kind: type[_Record], schema: int) -> _Record:
    """Read a record of the cache. Raises `ValueError` if it is damaged or has another schema."""
    try:
        record = decode_json(path.read_bytes(), kind)
    except ValueError as error:
        msg = f"{path.name} cannot be read: {error}"
        raise ValueError(msg) from error
    if record.schema != schema:
        msg = f"{path.name} has schema {record.schema}; this version uses schema {schema}"
        raise ValueError(msg)
    return record
