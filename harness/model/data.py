"""The data of a model: inputs and labels of one split, from Python, an ``.npz`` file or a folder of images.

All data are checked here, whatever their source. Everything downstream relies on the shapes and element types, on
finite values, on labels in range, and on splits that do not overlap.
"""

from __future__ import annotations

import hashlib
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError, suggestion
from harness.model.card import InputRange, ModelCard, Task
from harness.model.images import read_images
from harness.model.loaded import Loaded, loaded
from harness.model.ready import with_sizes
from harness.model.ready_metrics import ready_metric
from harness.model.splits import Split, hash_split
from harness.model.truth import Truth
from harness.model.user_code import is_reference, load_object, running
from harness.wire import DType, TensorSpec

__all__ = ["Dataset", "Split", "load_split", "synthetic"]

Array = NDArray[Any]

# What reading a damaged archive raises, some of it from the compression in it, or from the Python literal in the header
# of an array, which numpy tokenizes.
_DAMAGED = (
    OSError, ValueError, EOFError, TypeError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
    MemoryError, SyntaxError, tokenize.TokenError,
)  # fmt: skip
# The splits that a split must share no input with. Each pair is checked once, when its second split is loaded.
_APART: dict[Split, tuple[Split, ...]] = {
    Split.CALIBRATION: (),
    Split.TEST: (Split.CALIBRATION,),
    Split.TRAIN: (Split.CALIBRATION, Split.TEST),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """The inputs of one split: one array per input tensor, shape ``(count, *TensorSpec.shape)``. Item i is one call.

    ``labels``: class indices, int64, shape ``(count, *answers of one call)``, or the card's ``ignore_index``; None if
    the data have none. ``truth``: the labels as the data have them, for a metric that the card names; None without one.
    ``groups``: the name of each call's group; None where the data name none.
    """

    inputs: tuple[Array, ...]
    labels: NDArray[np.int64] | None
    truth: Truth | None = None
    groups: tuple[str, ...] | None = None

    @property
    def count(self) -> int:
        """The number of calls that the inputs are for."""
        return len(self.inputs[0])

    @property
    def single_labels(self) -> NDArray[np.int64] | None:
        """The labels, shape ``(count,)``, where each call has exactly one that counts; else None."""
        if self.labels is None or self.labels.size != self.count or self.labels.min() < 0:
            return None
        return self.labels.reshape(-1)


def load_split(card: ModelCard, split: Split) -> Dataset | None:
    """Return the data of ``split``, or None when the model has none. ``card.inputs`` must not be empty.

    Raises `UsageError` for wrong shapes, element types or labels, for a source that fails, and for an input that is
    also in another split; `MissingPackageError` when the source needs a package that is not installed.
    """
    dataset = _load(card, split)
    if dataset is None:
        return None
    for other in _APART[split]:
        _check_apart(card, dataset, split, other)
    return dataset


def synthetic(inputs: tuple[TensorSpec, ...], *, count: int, seed: int, ranges: tuple[InputRange, ...] = ()) -> Dataset:
    """Return ``count`` random inputs without labels, drawn with ``seed``.

    Inputs with a declared range are uniform over it, both ends included for integers. Of the others, floats are
    standard normal, integers uniform over 0 … 9, and bools uniform.
    """
    rng = np.random.default_rng(seed)
    limits = {declared.name: declared for declared in ranges}
    return Dataset(inputs=tuple(_random(spec, count, rng, limits.get(spec.name)) for spec in inputs), labels=None)


def about_made_up(inputs: tuple[TensorSpec, ...], ranges: tuple[InputRange, ...]) -> str:
    """Return the end of a message about a network that fails on `synthetic` inputs; empty without integers in them."""
    limits = {declared.name: declared for declared in ranges}
    integers = [spec.name for spec in inputs if spec.dtype not in (DType.FLOAT32, DType.FLOAT16, DType.BOOL)]
    if not integers:
        return ""
    open_ = [name for name in integers if name not in limits]
    drawn = [f"{n!r} over 0 to 9" for n in open_]
    drawn += [f"{n!r} over {limits[n].low:g} to {limits[n].high:g}" for n in integers if n in limits]
    return (
        f"; the inputs are made up (integers drawn for {', '.join(drawn)}): if they are indices, declare range = "
        "[smallest, largest] in their [[input]] (or --input NAME:DTYPE:SHAPE:LOW..HIGH), or give data"
    )


def _random(spec: TensorSpec, count: int, rng: np.random.Generator, limits: InputRange | None) -> Array:
    shape = (count, *spec.shape)
    match spec.dtype:
        case DType.FLOAT32 | DType.FLOAT16 if limits is not None:
            return rng.uniform(limits.low, limits.high, shape).astype(spec.dtype.value)
        case DType.FLOAT32 | DType.FLOAT16:
            return rng.standard_normal(shape, dtype=np.float32).astype(spec.dtype.value)
        case DType.BOOL:
            return rng.integers(0, 2, shape).astype(np.bool_)
        case _:
            low, high = (0, 9) if limits is None else (math.ceil(limits.low), math.floor(limits.high))
            return rng.integers(low, high, shape, endpoint=True).astype(spec.dtype.value)


def sizes_from_data(card: ModelCard, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return ``specs`` with the open sizes (-1) that the data of ``card`` fix. Images fix none unless they are cropped.

    Raises as `load_split` does for data that cannot be read.
    """
    if card.data is None or not card.data.source or all(size >= 0 for spec in specs for size in spec.shape):
        return specs
    described = replace(card, inputs=specs)
    if not _is_image_folder(card.data.source):
        data = _read(described, Split.TEST) or _read(described, Split.CALIBRATION)
        return tuple(map(with_sizes, specs, (a.shape[1:] for a in data.inputs))) if data else specs
    crop = card.data.crop
    return tuple(map(with_sizes, specs, [_cropped(spec.shape, crop) for spec in specs])) if crop else specs


def _cropped(shape: tuple[int, ...], crop: int) -> tuple[int, ...]:
    """The shape of a cropped image whose channels are where ``shape`` has them."""
    channels_last = len(shape) == 4 and shape[1] < 0 <= shape[3]
    return (1, crop, crop, shape[3]) if channels_last else (1, *shape[1:2], crop, crop)


def _is_image_folder(source: str) -> bool:
    return Path(source).is_absolute() and not source.endswith(".npz")


def _load(card: ModelCard, split: Split) -> Dataset | None:
    data = _read(card, split)
    if data is None or card.data is None:
        return None
    return _checked(card, f"split {split.value!r} of {card.data.source!r}", data)


def _read(card: ModelCard, split: Split) -> Loaded | None:
    """What the source of the data gives, not checked yet."""
    if card.data is None or not card.data.source:
        return None
    if not card.inputs:
        msg = f"model {card.name!r} does not declare its inputs; add [[input]] to its card, or use --input"
        raise UsageError(msg)
    source = card.data.source
    if is_reference(source) and not Path(source).is_absolute():
        return _from_python(card, split, source)
    if not _is_image_folder(source):
        return _from_npz(Path(source), card, split)
    return read_images(Path(source), card.data, card.inputs, split)


def _from_python(card: ModelCard, split: Split, reference: str) -> Loaded | None:
    function = load_object(reference, card.folder, raises=UsageError)
    with running(f"{reference}({split.value!r})", raises=UsageError, folder=card.folder or Path.cwd()):
        result = function(split.value)
    if result is None:
        return None
    if not isinstance(result, tuple) or len(result) not in (2, 3):
        what = f"a tuple of {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__}"
        msg = (
            f"{reference}({split.value!r}) returned {what}; return (inputs, labels), (inputs, labels, groups), or None"
        )
        raise UsageError(msg)
    inputs, labels, *groups = result
    with running(f"reading what {reference}({split.value!r}) returned", raises=UsageError, folder=card.folder):
        return loaded(_per_input(inputs, card, reference), labels, groups[0] if groups else None, reference)


def _per_input(inputs: object, card: ModelCard, where: str) -> tuple[Array, ...]:
    """One array per input: from a dict by name, from a tuple or list in order, or the array itself.

    States may be left out; they are zeros then.
    """
    states = {link.input for link in card.state}
    if not isinstance(inputs, Mapping):
        arrays = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
        names = [spec.name for spec in card.inputs if len(arrays) == len(card.inputs) or spec.name not in states]
        if len(arrays) != len(names):
            msg = f"{where} gives {len(arrays)} inputs, the model takes {len(names)}: {', '.join(names)}"
            raise UsageError(msg)
        inputs = dict(zip(names, arrays, strict=True))
    _check_names(set(inputs) | states, {s.name for s in card.inputs}, where)
    given = {name: np.asarray(array) for name, array in inputs.items()}
    count = max((len(array) for array in given.values() if array.ndim), default=0)
    return tuple(
        given[spec.name] if spec.name in given else np.zeros((count, *spec.shape), spec.dtype.value)
        for spec in card.inputs
    )


def _check_names(names: set[str], expected: set[str], where: str) -> None:
    for name in sorted(expected - names):
        msg = f"{where} has no array {name!r}; it has {', '.join(sorted(names)) or 'none'}"
        raise UsageError(msg)
    for name in sorted(names - expected):
        msg = f"{where} has an array {name!r} that no input takes; {suggestion(name, expected)}"
        raise UsageError(msg)


def _from_npz(path: Path, card: ModelCard, split: Split) -> Loaded | None:
    """Read ``inputs`` (or one array per input name), ``labels`` and ``groups``, or ``test_inputs`` and so on."""
    try:
        # A pickle inside the file could run any code.
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Array] = dict(file)
    except _DAMAGED as error:
        msg = f"cannot read the data file {str(path)!r}: {error}"
        raise UsageError(msg) from error
    prefixes = tuple(f"{s.value}_" for s in Split)
    if any(name.startswith(prefixes) for name in arrays):
        mark = f"{split.value}_"
        chosen = {name.removeprefix(mark): a for name, a in arrays.items() if name.startswith(mark)}
        return _named(chosen, card, f"split {split.value!r} of {str(path)!r}") if chosen else None
    data = _named(arrays, card, repr(str(path)))
    _check_counts(data, repr(str(path)))
    # No named splits: divide by content, so equal rows stay in one split.
    keys = [_digest(data.inputs, i) for i in range(len(data.inputs[0]))]
    rows = hash_split(keys, split)
    return data.at(rows) if rows else None


def _named(arrays: dict[str, Array], card: ModelCard, where: str) -> Loaded:
    named = dict(arrays)
    taken = {spec.name for spec in card.inputs}
    labels, groups = (None if name in taken else named.pop(name, None) for name in ("labels", "groups"))
    if len(card.inputs) - len(card.state) == 1 and "inputs" in named:
        _check_names(set(named), {"inputs"}, where)
        return loaded(_per_input(named["inputs"], card, where), labels, groups, where)
    return loaded(_per_input(named, card, where), labels, groups, where)


def _check_counts(data: Loaded, where: str) -> None:
    counts = data.counts()
    if min(counts) != max(counts):
        msg = (
            f"{where} has arrays of different lengths ({', '.join(map(str, counts))}); give a row and a label per input"
        )
        raise UsageError(msg)
    if counts[0] == 0:
        msg = f"{where} is empty; give at least one input, or leave the split out"
        raise UsageError(msg)


def _checked(card: ModelCard, where: str, data: Loaded) -> Dataset:
    _check_counts(data, where)
    arrays = tuple(_fitted(a, spec, where) for a, spec in zip(data.inputs, card.inputs, strict=True))
    classes = card.task is Task.CLASSIFICATION and data.labels is not None
    return Dataset(
        inputs=arrays,
        labels=_class_labels(card, where, np.asarray(data.labels)) if classes else None,
        truth=data.labels if card.metric is not None and ready_metric(card.metric) is not None else None,
        groups=data.groups,
    )


def _class_labels(card: ModelCard, where: str, labels: Array) -> NDArray[np.int64]:
    """Check what needs no network: type and sign. Only its outputs show which shape and which classes are right."""
    if not np.issubdtype(labels.dtype, np.integer):
        msg = f"{where} has labels of type {labels.dtype}, shape {list(labels.shape)}; give class indices, as integers"
        raise UsageError(msg)
    classes = labels.astype(np.int64)
    wrong = classes[classes < 0]
    if card.ignore_index is not None:
        wrong = wrong[wrong != card.ignore_index]
    if wrong.size:
        msg = (
            f"{where} has the label {wrong[0]}; labels are class indices and start at 0. A label that marks answers to "
            "leave out is declared as ignore_index in [model]"
        )
        raise UsageError(msg)
    return classes


def _fitted(array: Array, spec: TensorSpec, where: str) -> Array:
    """Check the array of one input, and add the batch dimension of 1 if it is missing."""
    if array.dtype != np.dtype(spec.dtype.value):
        msg = f"{where}: input {spec.name!r} is {array.dtype}, the model takes {spec.dtype.value}; convert it first"
        raise UsageError(msg)
    # Data usually come as (count, 3, 224, 224), where one call takes (1, 3, 224, 224).
    if spec.shape[:1] == (1,) and array.shape[1:] == spec.shape[1:]:
        array = array[:, np.newaxis]
    if array.shape[1:] != spec.shape:
        expected = ["count", *spec.shape]
        msg = f"{where}: input {spec.name!r} has shape {list(array.shape)}; give [{', '.join(map(str, expected))}]"
        raise UsageError(msg)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        msg = f"{where}: input {spec.name!r} has values that are NaN or infinite; clean the data"
        raise UsageError(msg)
    return np.ascontiguousarray(array)


def _digest(inputs: tuple[Array, ...], row: int) -> str:
    digest = hashlib.sha256()
    for array in inputs:
        digest.update(np.ascontiguousarray(array[row]).tobytes())
    return digest.hexdigest()


def _check_apart(card: ModelCard, dataset: Dataset, split: Split, other: Split) -> None:
    other_data = _load(card, other)
    if other_data is None:
        return
    places = {_digest(other_data.inputs, i): i for i in range(other_data.count)}
    shared = [(i, there) for i in range(dataset.count) if (there := places.get(_digest(dataset.inputs, i))) is not None]
    if shared:
        here, there = shared[0]
        msg = (
            f"{len(shared)} of the {dataset.count} inputs of split {split.value!r} of model {card.name!r} are also in "
            f"split {other.value!r} (input {here} of {split.value!r} has the values of input {there} there, counted "
            "from 0), which would make the results look better than they are; put each input in one split"
        )
        raise UsageError(msg)
