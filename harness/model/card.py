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
    KERAS = "keras"
    READY = "ready"
    COMPOSED = "composed"


KINDS: dict[str, SourceKind] = {
    ".pt2": SourceKind.EXPORTED,
    ".pt": SourceKind.TORCHSCRIPT,
    ".pth": SourceKind.TORCHSCRIPT,
    ".keras": SourceKind.KERAS,
    **{f".{format_.value}": SourceKind.READY for format_ in Format},
}


# What makes a folder a TensorFlow SavedModel.
SAVED_MODEL_FILE = "saved_model.pb"


def is_saved_model(path: Path) -> bool:
    """Return whether the folder at ``path`` is a TensorFlow SavedModel."""
    return (path / SAVED_MODEL_FILE).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What the command line says of the models: the fields of `harness.spec.Spec` of the same names."""

    random_weights: bool = False
    inputs: tuple[str, ...] = ()
    data: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRange:
    """The least and the greatest value that the elements of the input ``name`` take."""

    name: str
    low: float
    high: float


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
class PartCard:
    """One network of a model of several; ``kind``, ``source`` and ``weights`` are as those of a `ModelCard`.

    ``after`` names the parts and inputs of the model whose tensors it takes, in order; empty for all inputs.
    """

    name: str
    kind: SourceKind
    source: str
    weights: str | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model as its folder, file or factory describes it; nothing is loaded yet.

    ``source`` is a reference ``module:name`` for ``python`` and the absolute path of a file for the other kinds, for
    ``keras`` of a file or of a SavedModel's folder. ``metric`` is a reference to Python that scores outputs, ``target``
    a preset of `harness.model.targets`. ``inputs`` may be empty where the file itself knows them (``.pt2``, Keras,
    ready-made files). ``random_weights`` means the weights are left as initialised: speed is real, accuracy is not
    measured. ``ranges`` has those inputs whose card declares one. ``parts``: the networks that a ``composed`` model is
    put together from. ``whole``: the card of the model that this one is a part of; its inputs and data come from there,
    and ``inputs`` is empty. ``student`` is a reference to a factory of a smaller network with the same inputs and
    outputs, for distillation.
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
    ranges: tuple[InputRange, ...] = ()
    metric: str | None = None
    target: str | None = None
    parts: tuple[PartCard, ...] = ()
    whole: ModelCard | None = None
    student: str | None = None


def last_parts(card: ModelCard) -> tuple[str, ...]:
    """Return the parts of ``card`` that no other part comes after: their outputs are the model's, in this order."""
    taken = {name for part in card.parts for name in part.after}
    return tuple(part.name for part in card.parts if part.name not in taken)


def takes(card: ModelCard, part: PartCard) -> tuple[str, ...]:
    """Return the names of the parts and inputs of ``card`` whose tensors ``part`` takes."""
    return part.after or tuple(spec.name for spec in card.inputs)


def own_part(card: ModelCard) -> tuple[ModelCard, PartCard] | None:
    """Return the whole that ``card`` is a part of and the part that it is, None for a model by itself."""
    if card.whole is None:
        return None
    return card.whole, next(part for part in card.whole.parts if part_name(card.whole, part.name) == card.name)


def part_name(card: ModelCard, part: str) -> str:
    """Return the name that the part ``part`` of ``card`` has as a model of its own."""
    return f"{card.name}.{part}"
