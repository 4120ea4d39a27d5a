"""The data of a model, or of one part: the whole model's data after it has passed through the parts before.

A part has no data of its own. It is measured on the tensors that it gets inside the whole model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.model.card import ModelCard, Task
from harness.model.data import Dataset, load_split
from harness.model.network import before_part
from harness.model.splits import Split
from harness.model.states import with_states

if TYPE_CHECKING:
    import torch


def load_data(card: ModelCard, split: Split) -> Dataset | None:
    """Return the data of ``split``, as `harness.model.data.load_split` does; a part gets the data of its whole."""
    if card.whole is None:
        data = load_split(card, split)
        return with_states(card, data) if card.state and data is not None else data
    data = load_split(card.whole, split)
    return None if data is None else _passed_on(before_part(card), data, labelled=card.task is Task.CLASSIFICATION)


def _passed_on(before: torch.nn.Module, data: Dataset, *, labelled: bool) -> Dataset:
    """Return the outputs of ``before`` on each call of ``data``, as inputs."""
    import torch

    rows: list[list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]] = []
    with torch.no_grad():
        for index in range(data.count):
            result = before(*(torch.from_numpy(np.array(array[index])) for array in data.inputs))
            rows.append([tensor.numpy() for tensor in (result if isinstance(result, tuple) else (result,))])
    inputs = tuple(np.stack(column) for column in zip(*rows, strict=True))
    return Dataset(
        inputs=inputs,
        labels=data.labels if labelled else None,
        truth=data.truth,
        groups=data.groups,
    )
