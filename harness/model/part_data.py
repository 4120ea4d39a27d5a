"""Data of a model, and of a part of one: what the parts before it make of the whole's data.

The one decision: a part has no data of its own, so that what is measured of it is measured on what it really gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.model.card import ModelCard, Task
from harness.model.data import Dataset, load_split
from harness.model.network import before_part
from harness.model.splits import Split

if TYPE_CHECKING:
    import torch


def load_data(card: ModelCard, split: Split) -> Dataset | None:
    """Return the data of ``split`` as `harness.model.data.load_split` does; those of a part come from its whole."""
    if card.whole is None:
        return load_split(card, split)
    found = load_split(card.whole, split)
    return None if found is None else _handed_on(before_part(card), found, labelled=card.task is Task.CLASSIFICATION)


def _handed_on(before: torch.nn.Module, data: Dataset, *, labelled: bool) -> Dataset:
    """Return what ``before`` makes of each call of ``data``."""
    import torch

    rows: list[list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]] = []
    with torch.no_grad():
        for index in range(data.count):
            given = before(*(torch.from_numpy(array[index].copy()) for array in data.inputs))
            rows.append([tensor.numpy() for tensor in (given if isinstance(given, tuple) else (given,))])
    inputs = tuple(np.stack(column) for column in zip(*rows, strict=True))
    return Dataset(inputs=inputs, labels=data.labels if labelled else None)
