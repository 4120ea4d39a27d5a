"""The score that a card's own metric gives outputs: from a function in its folder, or from a metric that is ready."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import BuildError, UsageError
from harness.model.card import ModelCard
from harness.model.ready_metrics import ready_metric
from harness.model.splits import Split
from harness.model.truth import Truth, as_truth
from harness.model.user_code import load_object, running
from harness.scoring.corpus import Corpus, parts_corpus
from harness.scoring.ready import Case, ready_score
from harness.wire.tensors import Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """The score of all inputs. ``by_input``: one score each, whose mean is ``value``; empty for a corpus metric.

    ``corpus``: the score of other selections of inputs; None for a metric that scores each input.
    """

    value: float
    by_input: tuple[float, ...] = ()
    corpus: Corpus | None = None


def score_outputs(card: ModelCard, outputs: tuple[Array, ...], truth: Truth | None) -> Scored | None:
    """Return the score of ``outputs`` on the test split; None if the card names no metric.

    ``outputs``: one array per output, shape ``(count, *shape of one call)``. ``truth``: the labels of the test split,
    which ready metrics need. Raises `UsageError` when these do not fit, `BuildError` with the place in the user's file
    when the folder's own function fails, `MissingPackageError`.
    """
    if card.metric is None:
        return None
    ready = ready_metric(card.metric)
    if ready is None:
        return _own_score(card, outputs)
    if truth is None:
        msg = f"the metric {card.metric!r} of model {card.name!r} needs labels, and its data have none"
        raise UsageError(msg)
    found = ready_score(ready, Case(card=card, outputs=outputs, decoded=_decoded(card, outputs), truth=truth))
    return _of_corpus(card, found) if isinstance(found, Corpus) else _of_inputs(card, found)


def _own_score(card: ModelCard, outputs: tuple[Array, ...]) -> Scored:
    """The score that the folder's function returns: one number per input, one number, or (parts, combine)."""
    name = card.metric or ""
    function = load_object(name, card.folder, raises=BuildError)
    with running(f"the metric {name!r}", raises=BuildError, folder=card.folder):
        result = function(outputs, Split.TEST.value)
        if isinstance(result, tuple) and len(result) == 2 and callable(result[1]):
            return _of_parts(card, outputs, *result)
        scores = np.asarray(result, dtype=np.float64)
    if scores.ndim == 0 and np.isfinite(scores):
        total = float(scores)
        return _of_corpus(card, Corpus(count=len(outputs[0]), value=lambda _: total, resampled=False))
    if scores.shape != (len(outputs[0]),):
        msg = (
            f"the metric {name!r} returned shape {list(scores.shape)}: it must return one finite number per input, one "
            "finite number for all inputs, or (parts, combine)"
        )
        raise BuildError(msg)
    return _of_inputs(card, scores.tolist())


def _of_parts(card: ModelCard, outputs: tuple[Array, ...], parts: Any, combine: Any) -> Scored:
    if len(parts) != len(outputs[0]):
        msg = f"the metric {card.metric!r} returned {len(parts)} parts for {len(outputs[0])} inputs; return one each"
        raise BuildError(msg)

    def guarded(chosen: Any) -> float:
        with running(f"combine of the metric {card.metric!r}", raises=BuildError, folder=card.folder):
            try:
                return float(combine(chosen))
            except ZeroDivisionError:
                # Such as a draw of inputs without a single word.
                return float("nan")

    return _of_corpus(card, parts_corpus(parts, guarded))


def _of_corpus(card: ModelCard, corpus: Corpus) -> Scored:
    value = corpus.of_all()
    if not np.isfinite(value):
        msg = f"the metric {card.metric!r} of model {card.name!r} is not defined on the test split: it is {value}"
        raise BuildError(msg)
    return Scored(value=value, corpus=corpus)


def _of_inputs(card: ModelCard, scores: list[float]) -> Scored:
    undefined = next((index for index, score in enumerate(scores) if not math.isfinite(score)), None)
    if undefined is not None:
        msg = (
            f"the metric {card.metric!r} of model {card.name!r} is not defined for input {undefined} of the test "
            f"split: it is {scores[undefined]}"
        )
        raise BuildError(msg)
    return Scored(value=float(np.mean(scores)), by_input=tuple(scores))


def _decoded(card: ModelCard, outputs: tuple[Array, ...]) -> Truth | None:
    """What the card's ``decode`` makes of the outputs: one entry per input."""
    name = card.metric_options.decode
    if name is None:
        return None
    function = load_object(name, card.folder, raises=BuildError)
    with running(f"decode {name!r}", raises=BuildError, folder=card.folder):
        decoded = as_truth(function(outputs))
        count = len(decoded)
    if count != len(outputs[0]):
        msg = f"decode {name!r} returned {count} entries for {len(outputs[0])} inputs; return one per input"
        raise BuildError(msg)
    return decoded
