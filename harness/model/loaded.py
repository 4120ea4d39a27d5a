"""What a source of data gives for one split, before anything is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.model.truth import Truth, as_truth

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """The inputs, one array per input tensor with one entry per call; labels, and the name of each call's group.

    ``labels`` and ``groups`` are None where the data have none.
    """

    inputs: tuple[Array, ...]
    labels: Truth | None = None
    groups: tuple[str, ...] | None = None

    def counts(self) -> list[int]:
        """Return the number of entries of each input, of the labels and of the groups."""
        sides = [*self.inputs, *(side for side in (self.labels, self.groups) if side is not None)]
        return [len(side) if not isinstance(side, np.ndarray) or side.ndim else 0 for side in sides]

    def at(self, rows: Sequence[int]) -> Loaded:
        """Return the entries of ``rows``."""
        labels, groups = self.labels, self.groups
        if isinstance(labels, tuple):
            labels = tuple(labels[row] for row in rows)
        elif labels is not None:
            labels = labels[rows]
        return Loaded(
            inputs=tuple(array[rows] for array in self.inputs),
            labels=labels,
            groups=None if groups is None else tuple(groups[row] for row in rows),
        )


def loaded(inputs: tuple[Array, ...], labels: Any, groups: Any, where: str) -> Loaded:
    """Return ``labels`` and ``groups``, as a source gives them, beside the inputs. Raises `UsageError`."""
    return Loaded(
        inputs=inputs,
        labels=None if labels is None else as_truth(labels),
        groups=None if groups is None else _groups(groups, where),
    )


def _groups(groups: Any, where: str) -> tuple[str, ...]:
    array = np.asarray(groups)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        msg = (
            f"{where} has groups of type {array.dtype}, shape {list(array.shape)}; give one name (text or integer) per "
            "input"
        )
        raise UsageError(msg)
    return tuple(str(name) for name in array.tolist())
