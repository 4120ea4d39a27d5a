"""Recipes: what is done to a model before it becomes an artifact. They are plain data, stored with the artifact.

A recipe has graph steps, which change the network in order, and a precision, which the format's own quantiser applies.
A short name on the command line (``prune50+int8``) and a ``[[recipe]]`` table in a spec file make the same record.
Every value is checked when the record is created.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from harness.errors import UsageError

# Names become part of cell keys and file names, and ``+`` joins the words of short names.
_NAME = re.compile(r"(?:8da4w|[A-Za-z])[A-Za-z0-9+_.-]*")


# The checks come first, because the records below have records as defaults, which are created during the import.
def _check_between(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        limits = f"between {low:g} and {high:g}" if high != float("inf") else f"greater than {low:g}"
        msg = f"{name} is {value:g}: it must be {limits}"
        raise UsageError(msg)


def _check_count(name: str, value: int, *, most: int, least: int = 1) -> None:
    if not least <= value <= most:
        msg = f"{name} is {value}: it must be from {least} to {most}"
        raise UsageError(msg)


def _check_one(where: str, named: Mapping[str, object]) -> None:
    given = [name for name, value in named.items() if value is not None]
    if len(given) != 1:
        present = " and ".join(given) or "none of them"
        msg = f"{where} has {present}: give exactly one of {', '.join(named)}"
        raise UsageError(msg)


class Precision(StrEnum):
    """Number formats of weights and activations, applied by the format's own quantiser.

    ``int8``: static int8 weights and activations, calibrated. ``int8-dynamic``: int8 weights, and activations whose
    ranges are computed at run time. ``int8-weight`` and ``int4-weight``: only the weights, computed in float.
    ``int16x8``: int16 activations and int8 weights, calibrated. ``8da4w``: int4 weights in groups, and int8 activations
    whose ranges are computed at run time; language models only.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    INT8_DYNAMIC = "int8-dynamic"
    INT8_WEIGHT = "int8-weight"
    INT4_WEIGHT = "int4-weight"
    INT16X8 = "int16x8"
    INT8_DYNAMIC_INT4 = "8da4w"


# Precisions that need calibration inputs for their activation ranges.
CALIBRATED = (Precision.INT8, Precision.INT16X8)

# The variant of a ready-made file from another tool, which is run unchanged.
AS_IS = "as-is"


class Observer(StrEnum):
    """How a calibrated quantiser derives an activation range from the observed values."""

    MOVING_AVERAGE = "moving-average"
    MIN_MAX = "min-max"
    HISTOGRAM = "histogram"
    PERCENTILE = "percentile"


class CalibrationFrom(StrEnum):
    """Where calibration inputs come from.

    ``data``: the calibration split. ``batch-norm``: generated so that the batch-norm layers see the statistics they
    have stored. ``range``: uniform noise over the range that the input declares.
    """

    DATA = "data"
    BATCH_NORM = "batch-norm"
    RANGE = "range"


class Rounding(StrEnum):
    """How weights become integers: each to the nearest step, or up or down by what calibration inputs say."""

    NEAREST = "nearest"
    LEARNT = "learnt"


class Importance(StrEnum):
    """The measure of how much a channel matters: its weights, weights times gradients, or activations."""

    MAGNITUDE = "magnitude"
    TAYLOR = "taylor"
    ACTIVATION = "activation"


class Scope(StrEnum):
    """What a ratio applies to: the whole network, or each layer separately."""

    GLOBAL = "global"
    LAYER = "layer"


class FineTune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The budget for training a damaged network again: a number of ``epochs``, or as many as fit into ``seconds``.

    If both are given, the one used up first ends the training. It also ends once the loss on the calibration split has
    not fallen for ``patience`` epochs. The weights with the smallest loss are kept.
    """

    epochs: int = 30
    seconds: float | None = None
    learning_rate: float = 3e-3
    batch: int = 64
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        _check_count("epochs", self.epochs, most=10_000)
        _check_count("batch", self.batch, most=65_536, least=2)
        _check_count("patience", self.patience, most=10_000)
        _check_count("seed", self.seed, most=2**32 - 1, least=0)
        _check_between("learning_rate", self.learning_rate, 0.0, 1.0)
        if self.seconds is not None:
            _check_between("seconds", self.seconds, 0.0, 86_400.0)


class Fuse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="fuse"):
    """Fold batch norms into the convolutions and linears before them."""


class Equalise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="equalise"):
    """Scale channels between two layers so that both layers have weights of equal size; the outputs stay the same.

    ``calibration``: the inputs that show how large the channels become.
    """

    calibration: CalibrationFrom = CalibrationFrom.DATA


class CorrectBias(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="correct-bias"
):
    """Take from each layer's bias what rounding its weights to int8 adds to its outputs on average.

    ``calibration``: the inputs to average over. ``per_channel``: how the quantiser will round, as in `Quantisation`.
    ``rounding``: whether the weights are left to the quantiser or already rounded here.
    """

    calibration: CalibrationFrom = CalibrationFrom.DATA
    per_channel: bool = True
    rounding: Rounding = Rounding.NEAREST


class Prune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="prune"):
    """Remove ``ratio`` (0…1) of the channels, rounded to multiples of ``round_to``; layers in ``keep`` stay whole."""

    ratio: float
    importance: Importance = Importance.MAGNITUDE
    scope: Scope = Scope.LAYER
    round_to: int = 8
    keep: tuple[str, ...] = ()
    fine_tune: FineTune | bool = FineTune()

    def __post_init__(self) -> None:
        _check_between("ratio", self.ratio, 0.0, 1.0)
        _check_count("round_to", self.round_to, most=1024)


class Sparsify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="sparse"):
    """Set single weights to zero: a ``ratio`` (0…1) of all, or those whose magnitude is below ``threshold``.

    ``dynamic``: during training, weights that become important return and others are removed (dynamic network surgery).
    """

    ratio: float | None = None
    threshold: float | None = None
    dynamic: bool = False
    fine_tune: FineTune | bool = FineTune()

    def __post_init__(self) -> None:
        _check_one("sparse", {"ratio": self.ratio, "threshold": self.threshold})
        if self.ratio is not None:
            _check_between("ratio", self.ratio, 0.0, 1.0)
        if self.threshold is not None:
            _check_between("threshold", self.threshold, 0.0, float("inf"))
        if self.dynamic and self.fine_tune is False:
            msg = "dynamic is true but fine_tune is false: weights return only during training; leave one of them out"
            raise UsageError(msg)


class LowRank(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="low-rank"):
    """Split linear and convolution layers in two by SVD, down to a ``rank``, a ``ratio`` of it, or an ``energy``.

    ``ratio`` (0…1) is relative to the full rank. ``energy`` (0…1) is the share of the squared singular values to keep.
    """

    rank: int | None = None
    ratio: float | None = None
    energy: float | None = None
    fine_tune: FineTune | bool = FineTune()

    def __post_init__(self) -> None:
        _check_one("low-rank", {"rank": self.rank, "ratio": self.ratio, "energy": self.energy})
        if self.rank is not None:
            _check_count("rank", self.rank, most=1_000_000)
        if self.ratio is not None:
            _check_between("ratio", self.ratio, 0.0, 1.0)
        if self.energy is not None:
            _check_between("energy", self.energy, 0.0, 1.0)


class Cluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="cluster"):
    """Reduce the weights of each layer to ``clusters`` shared values (16 values make 4-bit indices)."""

    clusters: int = 16
    fine_tune: FineTune | bool = FineTune()

    def __post_init__(self) -> None:
        _check_count("clusters", self.clusters, most=4096, least=2)


class Distill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="distill"):
    """Train a smaller student on the float model's soft outputs at ``temperature``.

    The model card names the student; without one, it is the model pruned by ``ratio``. ``hard_weight`` (0…1) is the
    weight of the loss against the labels. ``compare_plain`` also trains the student without the teacher, to show the
    gain.
    """

    ratio: float = 0.5
    temperature: float = 4.0
    hard_weight: float = 0.1
    compare_plain: bool = True
    # The student starts from random weights, so it needs more epochs than a damaged network. The learning rate falls
    # towards the end, and stopping before that costs the most accuracy: patience equals epochs.
    fine_tune: FineTune | bool = FineTune(epochs=50, learning_rate=1e-2, patience=50)

    def __post_init__(self) -> None:
        _check_between("ratio", self.ratio, 0.0, 1.0)
        _check_between("temperature", self.temperature, 0.0, 1000.0)
        if not 0 <= self.hard_weight <= 1:
            msg = f"hard_weight is {self.hard_weight:g}: it must be from 0 to 1"
            raise UsageError(msg)
        if self.fine_tune is False:
            msg = "fine_tune is false in a distill step, which is nothing but training: set a budget, or leave it out"
            raise UsageError(msg)


class Qat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step", tag="qat"):
    """Train with the rounding of int8 in the forward pass; the recipe's precision must be int8."""

    fine_tune: FineTune | bool = FineTune(learning_rate=3e-4, epochs=5)

    def __post_init__(self) -> None:
        if self.fine_tune is False:
            msg = "fine_tune is false in a qat step, which is nothing but training: set a budget, or leave it out"
            raise UsageError(msg)


# Steps after which the network is trained again, and steps that leave what it computes as it is, rounding aside.
Damaging = Prune | Sparsify | LowRank | Cluster | Distill | Qat
Exact = Fuse | Equalise | CorrectBias
Step = Exact | Damaging

# The distributions that each step imports, listed here so that a missing one is found without importing anything.
STEP_PACKAGES: dict[type[Step], tuple[str, ...]] = {
    Fuse: ("torch",),
    Equalise: ("torch",),
    CorrectBias: ("torch",),
    Prune: ("torch", "torch-pruning"),
    Sparsify: ("torch",),
    LowRank: ("torch",),
    Cluster: ("torch", "scikit-learn"),
    Distill: ("torch", "torch-pruning"),
    Qat: ("torch", "torchao", "executorch"),
}
# The extra of phonebench that installs them all.
STEP_EXTRA = "torch"


def step_name(step: Step | type[Step]) -> str:
    """Return the word that selects ``step`` in a spec file, such as ``prune``."""
    return str(step.__struct_config__.tag)


# The steps by the word that selects one in a spec file.
STEPS: dict[str, type[Step]] = {step_name(step): step for step in STEP_PACKAGES}


def step_packages(steps: Iterable[Step], *, has_student: bool = False) -> tuple[str, ...]:
    """Return the distributions that ``steps`` need, each once; the extra `STEP_EXTRA` installs them.

    ``has_student``: the model card names a student network, so ``distill`` has nothing to prune.
    """
    needs = [("torch",) if has_student and isinstance(step, Distill) else STEP_PACKAGES[type(step)] for step in steps]
    return tuple(dict.fromkeys(name for names in needs for name in names))


def training_of(step: Damaging) -> FineTune | None:
    """Return the training budget of ``step``, None for ``fine_tune = false``."""
    if isinstance(step.fine_tune, FineTune):
        return step.fine_tune
    return FineTune() if step.fine_tune else None


class KeepFloat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which layers a quantiser leaves in float: the named ``layers``, or the most sensitive ones of a scan.

    From the scan: a ``count`` of layers, a ``share`` (0…1) of all, or as many as an output SQNR of ``sqnr_db`` takes.
    """

    layers: tuple[str, ...] | None = None
    count: int | None = None
    share: float | None = None
    sqnr_db: float | None = None

    def __post_init__(self) -> None:
        named = {"layers": self.layers, "count": self.count, "share": self.share, "sqnr_db": self.sqnr_db}
        _check_one("keep_float", named)
        if self.count is not None:
            _check_count("count", self.count, most=1_000_000)
        if self.share is not None:
            _check_between("share", self.share, 0.0, 1.0)


class Quantisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a quantiser. A precision ignores those it has no use for.

    ``calibration_inputs`` is the most inputs to calibrate on. ``keep_float`` makes the precision mixed.
    """

    observer: Observer = Observer.HISTOGRAM
    per_channel: bool = True
    calibration: CalibrationFrom = CalibrationFrom.DATA
    calibration_inputs: int = 100
    keep_float: KeepFloat | None = None

    def __post_init__(self) -> None:
        _check_count("calibration_inputs", self.calibration_inputs, most=1_000_000)


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant: its name, its graph steps in order, its precision and how to apply it.

    ``float_io``: inputs and outputs stay float32, whatever the precision inside. ``channel_last``: image inputs have
    their channels last (``.tflite`` only).
    """

    name: str
    steps: tuple[Step, ...] = ()
    precision: Precision = Precision.FP32
    quantisation: Quantisation = Quantisation()
    float_io: bool = True
    channel_last: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            msg = f"name is {self.name!r} in a recipe: use letters, digits, '+', '_', '.' and '-', a letter first"
            raise UsageError(msg)
        for position, step in enumerate(self.steps):
            if isinstance(step, Qat | CorrectBias):
                self._check_rounding(step, last=position == len(self.steps) - 1)

    def _check_rounding(self, step: Qat | CorrectBias, *, last: bool) -> None:
        """Check a step that prepares the weights for rounding to int8."""
        word = step_name(step)
        eight = (Precision.INT8,) if isinstance(step, Qat) else (Precision.INT8, Precision.INT16X8)
        if self.precision not in eight:
            allowed = " or ".join(repr(precision.value) for precision in eight)
            msg = f"recipe {self.name!r} has a {word} step and precision {self.precision.value!r}: it must be {allowed}"
            raise UsageError(msg)
        # A later step would change the weights.
        if not last:
            msg = f"recipe {self.name!r} has steps after {word}: what prepares the weights for int8 must come last"
            raise UsageError(msg)
        if isinstance(step, CorrectBias) and self.quantisation.keep_float is not None:
            msg = (
                f"recipe {self.name!r} has a {word} step and keep_float: biases of layers that stay in float need "
                "no correction; leave out one of the two"
            )
            raise UsageError(msg)
        if isinstance(step, CorrectBias) and step.per_channel != self.quantisation.per_channel:
            msg = f"recipe {self.name!r} has per_channel differently in its {word} step and its quantisation"
            raise UsageError(msg)

    @property
    def calibrated(self) -> bool:
        """Whether the content of the file depends on calibration inputs."""
        return self.precision in CALIBRATED
