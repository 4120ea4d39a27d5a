"""The score that a card's metric gives the outputs of a device, with its interval and the float model's own score."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.model.card import ModelCard
from harness.model.ready_metrics import metric_facts, ready_metric
from harness.model.user_code import split_reference
from harness.records.measurement import TaskScores
from harness.scoring.corpus import replicates
from harness.scoring.score import Scored, score_outputs
from harness.stats.means import mean_interval
from harness.stats.resampling import LEAST_FOR_BOOTSTRAP, replicate_interval
from harness.wire.tensors import Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredPair:
    """The score of a device's outputs, and the float model's on the same inputs; None if there is none."""

    own: Scored
    floats: Scored | None
    float_replicates: tuple[float, ...]
    higher_is_better: bool


def score(card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...]) -> ScoredPair | None:
    """Score ``outputs`` by the card's metric; None without a metric, or for made-up inputs.

    Raises `BuildError` with the place in the user's file when the metric fails, or is not defined for these outputs,
    `UsageError` for labels that do not fit, `MissingPackageError`.
    """
    if card.metric is None or model.facts.random_inputs:
        return None
    own = score_outputs(card, outputs, model.truth())
    if own is None:
        return None
    floats, float_replicates = _float_score(card, model)
    better = card.metric_options.higher_is_better
    better = metric_facts(card.metric).higher_is_better if better is None else better
    return ScoredPair(own=own, floats=floats, float_replicates=float_replicates, higher_is_better=better)


def task_scores(card: ModelCard, pair: ScoredPair, count: int) -> TaskScores:
    """Return the record of the scores of ``count`` inputs."""
    facts, options, own, floats = metric_facts(card.metric or ""), card.metric_options, pair.own, pair.floats
    drawn = _drawn(own)
    low, high = _interval(own, drawn) or (None, None)
    return TaskScores(
        metric=metric_name(card),
        value=own.value,
        low=low,
        high=high,
        count=count,
        scores=own.by_input,
        float_scores=() if floats is None else floats.by_input,
        higher_is_better=pair.higher_is_better,
        unit=facts.unit if options.unit is None else options.unit,
        tolerance=options.tolerance or facts.tolerance,
        corpus=own.corpus is not None,
        share=facts.share,
        float_value=None if floats is None else floats.value,
        replicates=_stored(drawn),
        float_replicates=_stored(pair.float_replicates),
    )


def metric_name(card: ModelCard) -> str:
    """Return the name of the card's metric: that of a function without its module."""
    name = card.metric or ""
    return name if ready_metric(name) is not None else split_reference(name)[1]


@functools.lru_cache(maxsize=8)
def _float_score(card: ModelCard, model: PreparedModel) -> tuple[Scored | None, tuple[float, ...]]:
    """The float model's score and its replicates, which every cell of the model is compared with."""
    reference = model.reference()
    scored = None if reference is None else score_outputs(card, reference, model.truth())
    return scored, () if scored is None else _drawn(scored)


def _drawn(scored: Scored) -> tuple[float, ...]:
    return () if scored.corpus is None else replicates(scored.corpus, least_inputs=LEAST_FOR_BOOTSTRAP)


def _interval(scored: Scored, drawn: tuple[float, ...]) -> tuple[float, float] | None:
    if scored.corpus is None:
        return mean_interval(scored.by_input)
    return replicate_interval(scored.value, drawn, scored.corpus.count)


def _stored(values: tuple[float, ...]) -> tuple[float | None, ...]:
    """Six digits of each, which is far more than a bootstrap resolves; JSON has no NaN."""
    return tuple(float(f"{value:.6g}") if math.isfinite(value) else None for value in values)
