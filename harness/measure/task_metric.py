"""The metric of a model's own folder: Python beside the card that scores outputs, one score an input.

The one decision: the function is handed outputs and the name of the split, and finds the truth itself, as the folder's
data does; so regression, embedding and every other task has its metric without phonebench knowing the task.
"""

from __future__ import annotations

import numpy as np

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.errors import BuildError
from harness.model.card import ModelCard
from harness.model.splits import Split
from harness.model.user_code import load_object, running, split_reference
from harness.records.measurement import TaskScores
from harness.stats.means import mean_interval
from harness.wire.tensors import Array


def score(card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...]) -> TaskScores | None:
    """Return the scores of ``outputs`` by ``metric`` of the card, None without one.

    Raises `BuildError` with the place in the user's file when the metric fails or does not give one finite number an
    input.
    """
    if card.metric is None or model.facts.random_inputs:
        return None
    scores = _call(card, outputs)
    reference = model.reference()
    low, high = mean_interval(scores) or (None, None)
    return TaskScores(
        metric=split_reference(card.metric)[1],
        value=float(np.mean(scores)),
        low=low,
        high=high,
        count=len(scores),
        scores=tuple(scores),
        float_scores=() if reference is None else tuple(_call(card, reference)),
    )


def _call(card: ModelCard, outputs: tuple[Array, ...]) -> list[float]:
    name = card.metric or ""
    function = load_object(name, card.folder, raises=BuildError)
    with running(f"the metric {name!r}", raises=BuildError, folder=card.folder):
        found = np.asarray(function(outputs, Split.TEST.value), dtype=np.float64)
    if found.shape != (len(outputs[0]),) or not np.isfinite(found).all():
        msg = f"the metric {name!r} returned shape {list(found.shape)}: give one finite number for each input"
        raise BuildError(msg)
    return [float(value) for value in found]
