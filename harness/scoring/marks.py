"""Which answers are right: the class answers in outputs, marked against labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.model.card import ModelCard
from harness.scoring.class_rows import ClassRows, Labels, check_labels
from harness.stats.answers import Answers, Numbers

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """Right and wrong answers; all arrays have the shape ``(count, answers of one call)``.

    ``asked`` is False for answers whose label is the ignored one; they are never ``right``. ``scores`` are the outputs
    in the shape of ``rows``.
    """

    rows: ClassRows
    scores: Numbers
    labels: Labels
    answers: Answers
    asked: Flags

    @property
    def right(self) -> Flags:
        """Whether each answer is its label."""
        return np.asarray((self.answers == self.labels) & self.asked)

    @property
    def single(self) -> bool:
        """Whether every input has exactly one answer that counts."""
        return self.asked.shape[1] == 1 and bool(self.asked.all())


def mark(card: ModelCard, output: Numbers, labels: Labels, shape: tuple[int, ...] | None = None) -> Marks:
    """Mark the answers in a first ``output``, of shape ``(count, *shape)``, against ``labels``.

    ``shape``: that of one call where a runtime may have added or dropped dimensions of 1; None for that of ``output``.
    Raises `UsageError` with both shapes when the labels do not fit, or when one is no class of the output.
    """
    rows = check_labels(card, output.shape[1:] if shape is None else shape, labels, split="test")
    flat = labels.reshape(len(labels), -1)
    asked = np.ones(flat.shape, dtype=bool) if card.ignore_index is None else flat != card.ignore_index
    scores = rows.shaped(output)
    return Marks(rows=rows, scores=scores, labels=flat, answers=rows.answers(output), asked=asked)
