"""Model cards: what a model's folder, file or factory says of it; nothing is loaded yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.wire import Format, TensorSpec

CARD_FILE = "model.toml"


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


KINDS: dict[str, SourceKind] = {
    ".pt2": SourceKind.EXPORTED,
    ".pt": SourceKind.TORCHSCRIPT,
    ".pth": SourceKind.TORCHSCRIPT,
    **{f".{format_.value}": SourceKind.READY for format_ in Format},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What the command line says of the models: the fields of `harness.spec.Spec` of the same names."""

    random_weights: bool = False
    inputs: tuple[str, ...] = ()
    data: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where inputs and labels come from, and how images of an image folder become tensors.

    ``source``: ``module:function`` beside the card, an image folder (one folder a class), or an ``.npz`` with
    ``inputs`` and ``labels``; empty where the card has no data and only tells how images given by ``--data`` become
    tensors. Images: short side to ``resize``, centre ``crop``, then (x / 255 - mean) / std.
    """

    source: str
    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model as its folder, file or factory describes it; nothing is loaded yet.

    ``source`` is a reference ``module:name`` for ``python`` and the absolute path of a file for the other kinds.
    ``inputs`` may be empty where the file itself knows them (``.pt2``, ready-made files). ``random_weights`` means the
    weights are left as initialised: speed is real, accuracy is not measured. ``student`` is a reference to a factory of
    a smaller network with the same inputs and outputs, for distillation.
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
    student: str | None = None
