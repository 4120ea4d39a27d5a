"""Which axis of an output holds the classes, and whether labels fit what is left without it.

A call may give one row of class scores, or one per item of a batch, per token or per pixel. Labels have the shape of
the output without its class axis. Dimensions of 1 do not count, because runtimes add and drop them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.model.card import ModelCard, Task
from harness.stats.answers import Answers, Numbers, agreement, top_answers

Labels = npt.NDArray[np.int64]

# Batches and sequences have their classes last; with more axes than two, that is only one of two conventions.
MOST_AXES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRows:
    """The first output of one call, of shape ``shape``, with its classes along ``axis`` (counted from 0)."""

    shape: tuple[int, ...]
    axis: int

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.shape[self.axis]

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape of the answers of one call, without dimensions of 1."""
        return without_ones(self.shape[: self.axis] + self.shape[self.axis + 1 :])

    def answers(self, output: Numbers) -> Answers:
        """Return the answers of ``output``, of as many elements as ``(count, *shape)``, as ``(count, rows)``."""
        return top_answers(self.shaped(output), self.axis)

    def shaped(self, output: Numbers) -> Numbers:
        """Return ``output`` in the shape ``(count, *shape)``, whatever dimensions of 1 it has."""
        return output.reshape(len(output), *self.shape)


def class_rows(card: ModelCard, shape: tuple[int, ...], labels: tuple[int, ...] | None = None) -> ClassRows:
    """Return where the classes are in a first output of shape ``shape`` (one call).

    That is the axis that the card names as ``class_axis``, else the last one that is not 1. ``labels`` is the shape of
    the labels of one call. Where the last axis does not fit them and exactly one other axis does, it is that one: so
    pixels with their classes first need no name. Raises `UsageError` with both shapes if the labels do not fit.
    """
    shape = shape or (1,)
    named = _named_axis(card, shape)
    axes = [axis for axis, size in enumerate(shape) if size > 1] or [len(shape) - 1]
    options = [ClassRows(shape=shape, axis=axis) for axis in ([named] if named is not None else reversed(axes))]
    if labels is None:
        return options[0]
    fits = [rows for rows in options if rows.rows == without_ones(labels)]
    if fits and (fits[0] is options[0] or len(fits) == 1):
        return fits[0]
    msg = (
        f"the labels of model {card.name!r} have shape {_counted(labels)}, its first output has {_counted(shape)}: "
        f"{_advice(options[0], fits)}"
    )
    raise UsageError(msg)


def class_agreement(
    card: ModelCard, reference: Numbers, output: Numbers, labels: tuple[int, ...] | None = None
) -> float | None:
    """Return the share (0…1) of answers in a first ``output`` that are those of ``reference``; None without classes.

    Both have as many elements as ``(count, *shape)``, the shape of ``reference``. ``labels``: the shape of the labels
    of one call, which shows where the classes are. In pictures of classes they may be first or last: without labels and
    without a named axis, that is not known, and there is no agreement. Raises `UsageError` if labels do not fit.
    """
    axes = len(without_ones(reference.shape[1:]))
    if card.task is not Task.CLASSIFICATION or (labels is None and card.class_axis is None and axes > MOST_AXES):
        return None
    rows = class_rows(card, reference.shape[1:], labels)
    return agreement(rows.shaped(reference), rows.shaped(output), rows.axis)


def check_labels(card: ModelCard, shape: tuple[int, ...], labels: Labels, *, split: str) -> ClassRows:
    """Return where the classes are, after checking that each label is one of them or the ignored one.

    ``labels`` has shape ``(count, *rows)``. Raises `UsageError`.
    """
    rows = class_rows(card, shape, labels.shape[1:])
    judged = labels if card.ignore_index is None else labels[labels != card.ignore_index]
    where = f"split {split!r} of model {card.name!r}"
    if not judged.size:
        msg = f"{where} has no label other than the ignored {card.ignore_index}; leave the labels out (None)"
        raise UsageError(msg)
    if rows.classes < 2:
        msg = (
            f"{where} has class labels, but the first output has one value per answer ({_counted(shape)}), which no "
            "class can be read from; return one score per class, or name a metric for single scores, such as "
            'metric = "equal-error-rate"'
        )
        raise UsageError(msg)
    low, high = int(judged.min()), int(judged.max())
    if low < 0 or high >= rows.classes:
        wrong = low if low < 0 else high
        msg = (
            f"{where} has the label {wrong}, but the classes of its first output are 0 to {rows.classes - 1} "
            f"({_counted(shape)}); labels count from 0. A label to leave out is declared as ignore_index in [model]"
        )
        raise UsageError(msg)
    return rows


def _named_axis(card: ModelCard, shape: tuple[int, ...]) -> int | None:
    axis = card.class_axis
    if axis is None:
        return None
    if not -len(shape) <= axis < len(shape):
        msg = (
            f"class_axis is {axis} in the card of model {card.name!r}, but its first output has {len(shape)} axes "
            f"({list(shape)}); name one from 0 to {len(shape) - 1}"
        )
        raise UsageError(msg)
    return axis % len(shape)


def _advice(first: ClassRows, fits: list[ClassRows]) -> str:
    if fits:
        axes = " or ".join(str(rows.axis) for rows in reversed(fits))
        return f"the classes could be along axis {axes} of a call; name one as class_axis in [model]"
    expected = _counted(first.rows)
    return f"with its {first.classes} classes along axis {first.axis} of a call, give labels of shape {expected}"


def _counted(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(['count', *map(str, shape)])}]"


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``shape`` without its dimensions of 1."""
    return tuple(size for size in shape if size != 1)
