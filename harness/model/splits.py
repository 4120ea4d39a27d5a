"""Splits of a model's data, and how data that comes in one piece is divided.

The one decision: items are divided by a hash of what they are, so that the parts stay the same on every machine and
when items are added, and two equal items are never in two parts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

MAX_CALIBRATION = 100


class Split(StrEnum):
    """A part of a model's data. Parts never overlap; ``train`` is only for steps that train."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


def hash_split(keys: Sequence[str], split: Split) -> list[int]:
    """Return the indices of ``keys`` that belong to ``split``, in order: a fifth, at most 100, calibrates.

    There is no ``train`` in data that does not say so. Equal keys stay together.
    """
    if split is Split.TRAIN:
        return []
    wanted = min(MAX_CALIBRATION, len(keys) // 5)
    copies = Counter(keys)
    chosen: set[str] = set()
    taken = 0
    for key in sorted(copies, key=lambda k: hashlib.sha256(k.encode()).digest()):
        if taken + copies[key] > wanted:
            break
        chosen.add(key)
        taken += copies[key]
    return [i for i, key in enumerate(keys) if (key in chosen) is (split is Split.CALIBRATION)]
