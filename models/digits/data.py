"""Loads the handwritten digits in ``digits.npz``: 1,337 to train, 100 to calibrate, 360 to test, in a fixed split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPLITS = {"train": 0, "calibration": 1, "test": 2}


def load(split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images in 0 … 1, shape (count, 1, 1, 8, 8), and labels 0 … 9, shape (count,)."""
    with np.load(Path(__file__).with_name("digits.npz")) as arrays:
        chosen = arrays["split"] == SPLITS[split]
        images, labels = arrays["images"][chosen], arrays["labels"][chosen]
    return (images.astype(np.float32) / 16).reshape(-1, 1, 1, 8, 8), labels.astype(np.int64)
