"""Facts about the measured file and the network in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from harness.records.steps import StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """The element type of an input or output, by numpy's name. ``quantised``: an integer that stands for a real number.

    A runner takes real numbers all the same and converts them outside the timed call.
    """

    type: str
    quantised: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTypes:
    """The types of numbers in a file, as its header states them.

    ``weights`` counts the stored numbers by type; it is empty if they cannot be read. ``inputs`` and ``outputs`` are in
    the order of the file, and empty in a format that does not state them.
    """

    weights: dict[str, int] = field(default_factory=dict)
    inputs: tuple[ValueType, ...] = ()
    outputs: tuple[ValueType, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFacts:
    """The file that ran, and the network in it.

    ``sqnr_db`` and ``agreement`` (0…1) compare its outputs with the float model's. ``own_sqnr_db`` compares them with
    the network as the recipe's graph steps left it; None without such steps. ``compressed_bytes`` is the deflated size.
    ``parameters`` and ``macs`` (per call) describe the network. ``steps``: what was done to it. ``kept_float``: the
    layers that a mixed precision left in float. ``calibration``: the data that a quantiser was calibrated on, empty for
    precisions without calibration. ``types``: the types of the numbers in the file, None if it cannot be read here.
    ``companions``: the digests of its other files, such as weights beside an .onnx.
    """

    sha256: str
    bytes: int
    sqnr_db: float | None
    agreement: float | None
    own_sqnr_db: float | None = None
    compressed_bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None
    steps: tuple[StepReport, ...] = ()
    kept_float: tuple[str, ...] = ()
    calibration: str = ""
    types: FileTypes | None = None
    companions: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """The digest of all files: two artifacts are the same only if their weights are, wherever these lie."""
        # Every command that shows a run loads this record; few need hashlib.
        from harness.system.files import files_sha256

        return files_sha256((self.sha256, *self.companions))


class CalibrationSource(StrEnum):
    """The data that a static quantiser was calibrated on; ``none`` for precisions that need no calibration."""

    NONE = "none"
    DATA = "data"
    RANDOM = "random"
    BATCH_NORM = "batch-norm"
    RANGE = "range"
