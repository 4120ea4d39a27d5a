"""Makes ``digits.npz`` from the handwritten digits of scikit-learn, including the split.

Run: ``python models/digits/make_data.py``; it needs the extra ``examples``. The split is drawn once and stored, so no
later version of a random generator can move an image from the training split to the test split.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN, CALIBRATION, TEST = 0, 1, 2
TEST_COUNT, CALIBRATION_COUNT, SEED = 360, 100, 0


def draw(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ``count`` indices into ``labels`` with the classes in proportion, by the largest-remainder method."""
    classes, sizes = np.unique(labels, return_counts=True)
    shares = sizes * count / len(labels)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(-(shares - counts), kind="stable")[: count - counts.sum()]] += 1
    return np.concatenate(
        [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, counts, strict=True)]
    )


def main() -> None:
    """Write the 1,797 images (uint8, 0 to 16) with their labels and splits beside this file."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    rng = np.random.default_rng(SEED)
    split = np.full(len(labels), TRAIN, dtype=np.uint8)
    split[draw(labels, TEST_COUNT, rng)] = TEST
    rest = np.flatnonzero(split == TRAIN)
    split[rest[draw(labels[rest], CALIBRATION_COUNT, rng)]] = CALIBRATION
    path = Path(__file__).with_name("digits.npz")
    np.savez_compressed(path, images=digits.images.astype(np.uint8), labels=labels.astype(np.uint8), split=split)
    sys.stdout.write(f"{path.name}: {len(labels)} images, {np.bincount(split).tolist()} train, calibration, test\n")


if __name__ == "__main__":
    main()
