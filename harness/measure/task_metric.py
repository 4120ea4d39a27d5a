"""The metric in a model's own folder: a Python function beside the card that gives each input a score.

The function gets the outputs and the name of the split, and loads the ground truth itself, as the folder's data does.
So regression, embedding and any other task can have a metric without phonebench knowing the task.
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
    """Return the scores that the card's ``metric`` gives ``outputs``, None without a metric.

    Raises `BuildError` with the place in the user's file when the metric fails or does not return one finite number per
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
        scores = np.asarray(function(outputs, Split.TEST.value), dtype=np.float64)
    if scores.shape != (len(outputs[0]),) or not np.isfinite(scores).all():
        msg = f"the metric {name!r} returned shape {list(scores.shape)}: it must return one finite number per input"
        raise BuildError(msg)
    return [float(value) for value in scores]
