"""Folders of images, one folder per class, as the inputs of a vision model.

The layout is ``ROOT/<split>/<class>/*``, or ``ROOT/<class>/*``, which is split by a hash of each file's name. The label
of a class is the index of its folder in sorted order, or the folder's name where all names are integers.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.model.card import DataCard
from harness.model.loaded import Loaded
from harness.model.pixels import read_pixels
from harness.model.splits import Split, hash_split
from harness.wire import DType, TensorSpec

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
# Beside the folders of a data set: which group each image belongs to.
GROUPS_FILE = "groups.csv"
# All inputs of a split are in memory at once, so a large split must be refused before it is read.
MAX_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The tensor that an image becomes."""

    channels: int
    height: int
    width: int
    channels_last: bool
    dtype: DType


def read_images(root: Path, data: DataCard, inputs: tuple[TensorSpec, ...], split: Split) -> Loaded | None:
    """Return one array of shape ``(count, 1, …)``, the labels and the groups of ``split``; None when it has no images.

    Raises `UsageError` for an empty folder, a file that is not an image, a file without a group where the others have
    one, and a model input that cannot take images.
    """
    target = _target(inputs, data)
    files = _files(root, split)
    if not files:
        return None
    item_bytes = np.dtype(target.dtype.value).itemsize * math.prod(inputs[0].shape)
    if len(files) * item_bytes > MAX_BYTES:
        msg = f"{len(files)} images in {str(root)!r} take more than {MAX_BYTES // 2**30} GiB as inputs; use fewer"
        raise UsageError(msg)
    images = np.empty((len(files), *inputs[0].shape), dtype=target.dtype.value)
    for index, (file, _) in enumerate(files):
        images[index, 0] = _image(file, data, target)
    return Loaded(
        inputs=(images,),
        labels=np.array([label for _, label in files], dtype=np.int64),
        groups=_groups(root, [file for file, _ in files]),
    )


def _groups(root: Path, files: list[Path]) -> tuple[str, ...] | None:
    """The group of each file, from lines ``path,group`` in the groups file of ``root``; None without such a file."""
    listed = root / GROUPS_FILE
    if not listed.is_file():
        return None
    try:
        with listed.open(newline="", encoding="utf-8-sig") as lines:
            named = {row[0].strip(): row[1].strip() for row in csv.reader(lines) if len(row) == 2}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read {str(listed)!r}: {error}; write lines PATH,GROUP in UTF-8"
        raise UsageError(msg) from error
    paths = [file.relative_to(root).as_posix() for file in files]
    missing = [path for path in paths if path not in named]
    if missing:
        msg = f"{str(listed)!r} has no line for {missing[0]!r} ({len(missing)} are missing); write PATH,GROUP for each"
        raise UsageError(msg)
    return tuple(named[path] for path in paths)


def _target(inputs: tuple[TensorSpec, ...], data: DataCard) -> _Target:
    spec = inputs[0]
    shape = spec.shape
    supported = "one input of float32, float16 or uint8, shape [1, 3, H, W] or [1, H, W, 3] (or 1 channel)"
    # A shape that fits both layouts, such as [1, 3, 224, 3], counts as channels first, which is PyTorch's layout.
    channels_last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels = shape[3 if channels_last else 1] if len(shape) == 4 else 0
    if (
        len(inputs) != 1
        or channels not in (1, 3)
        or shape[0] != 1
        or spec.dtype not in (DType.FLOAT32, DType.FLOAT16, DType.UINT8)
    ):
        shown = ", ".join(f"{s.name} {s.dtype.value} {list(s.shape)}" for s in inputs)
        msg = f"the model takes {shown}; images need {supported}"
        raise UsageError(msg)
    height, width = shape[1:3] if channels_last else shape[2:4]
    if data.crop is not None and (height, width) != (data.crop, data.crop):
        msg = f"crop is {data.crop}, the input {spec.name!r} has {height}x{width} pixels; make them equal"
        raise UsageError(msg)
    if data.resize is not None and data.resize < max(height, width):
        msg = f"resize is {data.resize}, the input {spec.name!r} has {height}x{width} pixels; resize to at least that"
        raise UsageError(msg)
    return _Target(channels=channels, height=height, width=width, channels_last=channels_last, dtype=spec.dtype)


def _files(root: Path, split: Split) -> list[tuple[Path, int]]:
    """The images of ``split`` with their labels, sorted by name."""
    parts = [folder for s in Split if (folder := root / s.value).is_dir()]
    if parts:
        labels = _labels({name for part in parts for name in _folders(part)}, root)
        return _labelled(root / split.value, labels) if (root / split.value).is_dir() else []
    files = _labelled(root, _labels(set(_folders(root)), root))
    rows = hash_split([file.relative_to(root).as_posix() for file, _ in files], split)
    return [files[row] for row in rows]


def _labelled(folder: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
    images = [
        (file, labels[name])
        for name in _folders(folder)
        for file in sorted((folder / name).iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if not images:
        msg = f"there are no images in {str(folder)!r}; put them in one folder per class"
        raise UsageError(msg)
    return images


def _folders(folder: Path) -> list[str]:
    # Folders of Python and of other programs are no classes, and no signature covers them.
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__pycache__")))


def _labels(names: set[str], root: Path) -> dict[str, int]:
    # Sorted as text, class "10" would come before "2", so folders named by numbers keep their numbers.
    if not names or not all(name.isdecimal() for name in names):
        return {name: index for index, name in enumerate(sorted(names))}
    labels = {name: int(name) for name in names}
    if len(set(labels.values())) < len(labels):
        msg = f"two folders in {str(root)!r} have the same class number ({', '.join(sorted(names))}); merge them"
        raise UsageError(msg)
    return labels


def _image(file: Path, data: DataCard, target: _Target) -> NDArray[Any]:
    """One image as an array (C, H, W) or (H, W, C)."""
    from PIL import Image

    image = read_pixels(file, target.channels, data.background)
    scale = _scale(image.width, image.height, data, target)
    # Rounding must not make the image smaller than the crop.
    size = (max(round(image.width * scale), target.width), max(round(image.height * scale), target.height))
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - target.width) // 2, (size[1] - target.height) // 2
    cropped = image.crop((left, top, left + target.width, top + target.height))
    values = np.asarray(cropped, dtype=np.float32).reshape(target.height, target.width, -1)
    # A picture of more than 8 bits is grey: its one channel stands for all.
    pixels: NDArray[Any] = np.broadcast_to(values, (target.height, target.width, target.channels))
    if target.dtype is DType.UINT8:
        pixels = pixels.round()
    else:
        mean, std = _per_channel(data.mean, target.channels, "mean"), _per_channel(data.std, target.channels, "std")
        pixels = (pixels / 255 - mean) / std
    tensor = pixels.astype(target.dtype.value)
    return tensor if target.channels_last else tensor.transpose(2, 0, 1)


def _scale(width: int, height: int, data: DataCard, target: _Target) -> float:
    """The scale factor of an image: its short side to ``resize``, or just enough to cover the input."""
    if data.resize is not None:
        return data.resize / min(width, height)
    return max(target.width / width, target.height / height)


def _per_channel(values: tuple[float, ...], channels: int, key: str) -> NDArray[np.float32]:
    if len(values) != channels and len(set(values)) > 1:
        msg = f"{key} has {len(values)} values, the input has {channels} channels; give one value per channel"
        raise UsageError(msg)
    return np.asarray(values if len(values) == channels else values[:1] * channels, dtype=np.float32)
