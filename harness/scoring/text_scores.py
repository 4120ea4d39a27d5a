"""Word and character error rate: the edits of all texts, divided by the words or characters of all references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.scoring.corpus import Corpus, of_counts


def word_error_rate(predictions: Sequence[str], references: Sequence[str]) -> Corpus:
    """Return the word error rate over all texts. Words are what white space separates; capital letters count."""
    import jiwer

    return _error_rate(jiwer.process_words, predictions, references)


def character_error_rate(predictions: Sequence[str], references: Sequence[str]) -> Corpus:
    """Return the character error rate over all texts; white space counts, except at the ends."""
    import jiwer

    return _error_rate(jiwer.process_characters, predictions, references)


def _error_rate(process: Callable[[str, str], Any], predictions: Sequence[str], references: Sequence[str]) -> Corpus:
    counts = np.zeros((len(references), 2), dtype=np.int64)
    for index, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
        edits = process(reference, prediction)
        wrong = edits.substitutions + edits.deletions
        counts[index] = wrong + edits.insertions, edits.hits + wrong
    return of_counts(counts, lambda total: float(total[0] / total[1]) if total[1] else float("nan"))
