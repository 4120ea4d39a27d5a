"""Models: cards, how a name or a path becomes one, and how the float network behind a card is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.wire import Format, TensorSpec


class Task(StrEnum):
    """What the outputs mean; ``classification`` has top-1 accuracy, the others are judged by fidelity."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    EMBEDDING = "embedding"
    OTHER = "other"


class SourceKind(StrEnum):
    """How the network is come by."""

    PYTHON = "python"
    EXPORTED = "exported"
    TORCHSCRIPT = "torchscript"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where inputs and labels come from, and how images of an image folder become tensors.

    ``source``: ``module:function`` beside the card, an image folder (one folder a class), or an ``.npz`` with
    ``inputs`` and ``labels``. Images: short side to ``resize``, centre ``crop``, then (x / 255 - mean) / std.
    """

    source: str
    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model as its folder, file or factory describes it; nothing is loaded yet.

    ``inputs`` may be empty where the file itself knows them (``.pt2``, ready-made files). ``random_weights`` means the
    weights are left as initialised: speed is real, accuracy is not measured.
    """

    name: str
    task: Task
    kind: SourceKind
    source: str
    folder: Path | None
    weights: str | None
    license: str
    inputs: tuple[TensorSpec, ...]
    data: DataCard | None
    random_weights: bool
    seed: int
    ready: Format | None = None
