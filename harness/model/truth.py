"""What a metric compares outputs with: the labels as the data give them, of any type and shape.

An array has one entry per input along its first axis. Texts, and boxes of which each input has its own number, are a
tuple with one entry per input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Truth: TypeAlias = npt.NDArray[Any] | tuple[object, ...]


def as_truth(labels: Any) -> Truth:
    """Return ``labels`` as an array, or as a tuple if they are texts or tables (dicts)."""
    if isinstance(labels, tuple | list) and labels and isinstance(labels[0], str | Mapping):
        return tuple(labels)
    array = np.asarray(labels)
    return tuple(array.tolist()) if array.dtype.kind == "U" else array


def plain_truth(truth: tuple[object, ...]) -> bytes:
    """Return ``truth`` as JSON, with arrays as lists. Raises TypeError for what JSON cannot hold."""

    def lists(value: object) -> object:
        if (tolist := getattr(value, "tolist", None)) is not None:
            return tolist()
        msg = f"labels hold a {type(value).__name__}; use numbers, texts, lists and arrays"
        raise TypeError(msg)

    return msgspec.json.encode(truth, enc_hook=lists)
