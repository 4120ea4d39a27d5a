"""Facts about the measured file and the network in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.records.steps import StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFacts:
    """The file that ran, and the network in it.

    ``sqnr_db`` and ``agreement`` (0…1) compare it with the float model, ``own_sqnr_db`` with the network that its
    recipe's graph steps left; None without one. ``compressed_bytes``: deflated. ``parameters`` and ``macs`` (of one
    call) count the network, ``steps`` is what was done to it, ``kept_float`` which layers a mixed precision spared,
    ``calibration`` what a calibrated quantiser saw (empty for the others).
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


class CalibrationSource(StrEnum):
    """What a static quantiser saw; ``none`` for precisions that need no calibration."""

    NONE = "none"
    DATA = "data"
    RANDOM = "random"
    BATCH_NORM = "batch-norm"
    RANGE = "range"
