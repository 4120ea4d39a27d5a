"""Small pictures of the inputs that lost, for the report: a few kilobytes each, stored with the run."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.measure.job import Keeper
from harness.model.card import DataCard, ModelCard
from harness.records.measurement import GroupFacts
from harness.wire import DType, TensorSpec

# Pixels of the longer side.
SIZE = 64
SMALLEST = 4
_QUALITY = 70

Pixels = npt.NDArray[Any]


def with_pictures(
    card: ModelCard, model: PreparedModel, groups: GroupFacts | None, keeper: Keeper
) -> GroupFacts | None:
    """Return ``groups`` with a stored picture of each changed input, if the first input of the model is a picture."""
    if groups is None or not groups.changed or not is_picture(model.facts.inputs[0]):
        return groups
    pictures = model.test_inputs()[0]
    changed = [
        replace(one, picture=f"{keeper.keep(small_picture(pictures[one.index], card.data), '.webp')}.webp")
        for one in groups.changed
    ]
    return replace(groups, changed=tuple(changed))


def is_picture(spec: TensorSpec) -> bool:
    """Return whether the input is one picture: grey or RGB, channels first or last."""
    shape = spec.shape
    if len(shape) != 4 or shape[0] != 1 or spec.dtype not in (DType.FLOAT32, DType.FLOAT16, DType.UINT8):
        return False
    sides = shape[2:] if shape[1] in (1, 3) else shape[1:3] if shape[3] in (1, 3) else (0,)
    return min(sides) >= SMALLEST


def small_picture(pixels: Pixels, data: DataCard | None) -> bytes:
    """Return one input, of shape ``(1, C, H, W)`` or ``(1, H, W, C)``, as a WebP of at most `SIZE` pixels a side."""
    from PIL import Image

    picture = pixels[0]
    picture = picture.transpose(1, 2, 0) if picture.shape[0] in (1, 3) else picture
    shown = Image.fromarray(_bytes(picture, data).squeeze())
    scale = SIZE / max(shown.size)
    # Enlarged pixels stay square, so that one sees what the network gets.
    resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))), resampling)
    file = io.BytesIO()
    shown.convert("RGB").save(file, "WEBP", quality=_QUALITY)
    return file.getvalue()


def _bytes(picture: Pixels, data: DataCard | None) -> npt.NDArray[np.uint8]:
    """Values from 0 to 255: what the card's mean and std say, else 0…1, else the range of this picture."""
    if picture.dtype == np.uint8:
        return picture
    values = picture.astype(np.float64)
    if data is not None and (any(data.mean) or set(data.std) != {1.0}):
        values = values * np.array(data.std[: values.shape[2]]) + np.array(data.mean[: values.shape[2]])
    low, high = float(values.min()), float(values.max())
    if low < -0.01 or high > 1.01:
        values = (values - low) / (high - low)
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
