"""Model cards: what a model's folder, file or factory says about it. Nothing is loaded here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.model.language import LanguageFacts
from harness.wire import Format, TensorSpec

CARD_FILE = "model.toml"


class Task(StrEnum):
    """What the outputs mean; ``classification`` is judged by top-1 accuracy, the others by fidelity."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    EMBEDDING = "embedding"
    OTHER = "other"


class SourceKind(StrEnum):
    """Where the network comes from."""

    PYTHON = "python"
    EXPORTED = "exported"
    TORCHSCRIPT = "torchscript"
    KERAS = "keras"
    READY = "ready"
    COMPOSED = "composed"
    LANGUAGE = "language"


KINDS: dict[str, SourceKind] = {
    ".pt2": SourceKind.EXPORTED,
    ".pt": SourceKind.TORCHSCRIPT,
    ".pth": SourceKind.TORCHSCRIPT,
    ".keras": SourceKind.KERAS,
    **{f".{f.value}": SourceKind.READY for f in Format if f not in (Format.OTHER, Format.GENAI)},
}


# The file that every TensorFlow SavedModel has at its root.
SAVED_MODEL_FILE = "saved_model.pb"


def is_saved_model(path: Path) -> bool:
    """Return whether the folder at ``path`` is a TensorFlow SavedModel."""
    return (path / SAVED_MODEL_FILE).is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """The options that apply to models: the fields of the same names in `harness.spec.spec.Spec`."""

    random_weights: bool = False
    inputs: tuple[str, ...] = ()
    data: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRange:
    """The smallest and the largest value that an element of the input ``name`` can have."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where inputs and labels come from, and how images become tensors.

    ``source``: ``module:function`` beside the card, an image folder (one folder per class), or an ``.npz`` file with
    ``inputs`` and ``labels``. It is empty where the card has no data of its own and only says how images given by
    ``--data`` become tensors. Images: scale the short side to ``resize``, crop the centre to ``crop``, then
    (x / 255 - mean) / std. ``background``: the colour behind transparent pixels, from 0 to 255; None refuses them.
    """

    source: str
    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    background: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricOptions:
    """How a card's metric is computed and compared; None stands for the metric's own.

    ``tolerance``: the change that matters, in the metric's unit. ``decode``: a reference to Python that turns
    the outputs into what the metric compares with the labels. ``data_range``: the largest value of pictures.
    """

    higher_is_better: bool | None = None
    unit: str | None = None
    tolerance: float | None = None
    decode: str | None = None
    data_range: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCard:
    """One network of a composed model; ``kind``, ``source`` and ``weights`` mean the same as in `ModelCard`.

    ``after`` names the parts and model inputs whose tensors this part takes, in order; empty for all inputs.
    """

    name: str
    kind: SourceKind
    source: str
    weights: str | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLink:
    """A state that the caller keeps: the output ``output`` of one call is the input ``input`` of the next."""

    input: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model as its folder, file or factory describes it.

    ``source``: a reference ``module:name`` for kind ``python``, else the absolute path of a file (for ``keras``, of a
    file or a SavedModel folder). ``inputs``: may be empty where the file itself knows them (``.pt2``, Keras,
    ready-made files). ``ranges``: only the inputs that declare one. ``metric``: a name of
    `harness.model.ready_metrics`, or a reference to Python that scores outputs. ``target``: a preset of
    `harness.model.targets`. ``student``: a reference to a factory of a smaller network with the same inputs and
    outputs, for distillation. ``random_weights``: weights stay as initialised, so speed is
    real and accuracy is not measured.

    ``class_axis``: the axis of the first output, batch included, that holds the classes; None for the last one that is
    not 1. ``ignore_index``: the label of answers that do not count.

    ``state``: the inputs that take an output of the call before, see `StateLink`.

    ``language``: set for language models, whether they are a folder in the layout of Hugging Face (kind ``language``,
    whose ``source`` is that folder) or a ready-made file.

    ``parts``: the networks of a ``composed`` model. ``whole``: the card of the model that this one is a part of; inputs
    and data come from there, and ``inputs`` is empty.
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
    metric_options: MetricOptions = MetricOptions()
    target: str | None = None
    class_axis: int | None = None
    ignore_index: int | None = None
    state: tuple[StateLink, ...] = ()
    parts: tuple[PartCard, ...] = ()
    whole: ModelCard | None = None
    student: str | None = None
    language: LanguageFacts | None = None


def last_parts(card: ModelCard) -> tuple[str, ...]:
    """Return the parts of ``card`` that feed no other part: their outputs are the model's outputs, in this order."""
    taken = {name for part in card.parts for name in part.after}
    return tuple(part.name for part in card.parts if part.name not in taken)


def takes(card: ModelCard, part: PartCard) -> tuple[str, ...]:
    """Return the names of the parts and inputs of ``card`` whose tensors ``part`` takes."""
    return part.after or tuple(spec.name for spec in card.inputs)


def own_part(card: ModelCard) -> tuple[ModelCard, PartCard] | None:
    """Return the composed model that ``card`` belongs to and its part there, or None for a model by itself."""
    if card.whole is None:
        return None
    return card.whole, next(part for part in card.whole.parts if part_name(card.whole, part.name) == card.name)


def part_name(card: ModelCard, part: str) -> str:
    """Return the name of the part ``part`` of ``card`` when it runs as a separate model."""
    return f"{card.name}.{part}"
