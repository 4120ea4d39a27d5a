"""The splits of a model's data, and how data without splits is divided.

Items are divided by a hash of their content. The split of an item is then the same on every machine, hardly changes
when items are added, and is the same for two equal items.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

MAX_CALIBRATION = 100


class Split(StrEnum):
    """A part of a model's data. Splits never overlap; ``train`` is used only by steps that train."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


def hash_split(keys: Sequence[str], split: Split) -> list[int]:
    """Return the indices of ``keys`` that belong to ``split``, in order. Equal keys stay together.

    A fifth of the keys, at most 100, are for calibration and the rest for testing. Data without named splits has no
    ``train`` split.
    """
    if split is Split.TRAIN:
        return []
    calibration_count = min(MAX_CALIBRATION, len(keys) // 5)
    # Sorting by digest orders the keys at random, but equally on every machine.
    copies = Counter(keys)
    chosen: set[str] = set()
    taken = 0
    for key in sorted(copies, key=lambda k: hashlib.sha256(k.encode()).digest()):
        if taken + copies[key] > calibration_count:
            break
        chosen.add(key)
        taken += copies[key]
    return [i for i, key in enumerate(keys) if (key in chosen) is (split is Split.CALIBRATION)]
