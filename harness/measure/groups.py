"""Which groups of inputs pay for an optimisation: their scores against the float model's, and the inputs that lost.

A good average can hide a group that lost a lot. The groups are those that the data name, else the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.measure.task_metric import ScoredPair, metric_name
from harness.model.card import ModelCard
from harness.model.ready_metrics import metric_facts
from harness.records.measurement import ChangedInput, GroupFacts, GroupKind, GroupScore
from harness.scoring.marks import Flags, Marks
from harness.scoring.score import Scored
from harness.stats.means import mean_interval
from harness.stats.proportions import compare_correct

# The worst groups that are stored; a model with a thousand classes has a thousand.
MOST_GROUPS = 100
# The inputs that are listed, with a picture each where they are pictures.
MOST_CHANGED = 24
# A score of all inputs is computed for each input by itself, unless that would take too long.
MOST_ALONE = 1000

Members = npt.NDArray[np.bool_]


def groups_of_answers(model: PreparedModel, marks: Marks, floats: Marks) -> GroupFacts:
    """Return what each group's accuracy lost; both sides are marked against the same labels."""
    names = model.groups()
    groups = [
        _of_answers(name, marks, floats, chosen)
        for name, chosen in (_classes(marks) if names is None else _named(names, marks.asked.shape))
        if (chosen & marks.asked).any()
    ]
    change = (marks.right.sum(axis=1) - floats.right.sum(axis=1)) / np.maximum(marks.asked.sum(axis=1), 1)
    return GroupFacts(
        kind=GroupKind.CLASS if names is None else GroupKind.GROUP,
        metric="top-1",
        share=True,
        groups=_worst(groups),
        lost=int((change < 0).sum()),
        won=int((change > 0).sum()),
        changed=tuple(_changed_answer(index, -change[index], marks, floats) for index in _most_lost(change)),
    )


def groups_of_scores(card: ModelCard, model: PreparedModel, pair: ScoredPair) -> GroupFacts | None:
    """Return what each group's score by the card's metric lost; None without groups or without a float model.

    Without groups in the data, they are the classes of a metric that averages over classes. The inputs that lost are
    those whose score by themselves did, also for a score of all inputs together.
    """
    names, own, floats = model.groups(), pair.own, pair.floats
    classes = {} if own.corpus is None else own.corpus.by_class
    if floats is None:
        return None
    sign = 1.0 if pair.higher_is_better else -1.0
    # An input without a score by itself, such as a picture without a box, has not changed.
    change = np.nan_to_num(sign * (_by_input(own) - _by_input(floats)), posinf=0.0, neginf=0.0)
    if names is None and not classes and not change.size:
        return None
    groups = [
        group
        for name, members in (() if names is None else _named(names, (len(names), 1)))
        if (group := _of_scores(name, pair, members[:, 0], sign)) is not None
    ]
    if names is None:
        groups = list(_classes_of_metric(pair, sign))
    return GroupFacts(
        kind=GroupKind.CLASS if names is None and classes else GroupKind.GROUP,
        metric=metric_name(card),
        share=metric_facts(card.metric or "").share,
        groups=_worst(groups),
        lost=int((change < 0).sum()),
        won=int((change > 0).sum()),
        changed=tuple(ChangedInput(index=index, loss=float(-change[index])) for index in _most_lost(change)),
    )


def _by_input(scored: Scored) -> npt.NDArray[np.float64]:
    """The score of each input by itself, NaN where it is not defined; empty where that cannot be computed."""
    corpus = scored.corpus
    if corpus is None:
        return np.array(scored.by_input, dtype=np.float64)
    if not corpus.resampled or corpus.count > MOST_ALONE:
        return np.zeros(0)
    alone = (corpus.of_some(members) for members in np.eye(corpus.count, dtype=bool))
    return np.array([np.nan if score is None else score for score in alone])


def _classes_of_metric(pair: ScoredPair, sign: float) -> Iterator[GroupScore]:
    """Each class that occurs in the labels or in the answers of both sides."""
    own, floats = pair.own.corpus, pair.floats.corpus if pair.floats else None
    if own is None or floats is None:
        return
    for label in sorted(set(own.by_class) & set(floats.by_class)):
        values = own.by_class[label], floats.by_class[label]
        yield _group(str(label), own.count, values, sign, None)


def _classes(marks: Marks) -> Iterator[tuple[str, Flags]]:
    for label in np.unique(marks.labels[marks.asked]):
        yield str(int(label)), np.asarray(marks.labels == label)


def _named(names: Sequence[str], shape: tuple[int, ...]) -> Iterator[tuple[str, Flags]]:
    """Each group with its answers, shape ``(count, answers of one call)``."""
    array = np.array(names)
    for name in sorted(set(names)):
        yield name, np.broadcast_to((array == name)[:, np.newaxis], shape)


def _of_answers(name: str, marks: Marks, floats: Marks, chosen: Flags) -> GroupScore:
    asked = chosen & marks.asked
    right, float_right = marks.right & asked, floats.right & asked
    count = int(asked.sum())
    interval: tuple[float, float] | None
    if marks.single:
        inputs = asked[:, 0]
        paired = compare_correct(float_right[inputs, 0].tolist(), right[inputs, 0].tolist())
        interval = -paired.high, -paired.low
    else:
        # The answers of one input depend on each other, so the interval is over inputs.
        differences = (float_right.sum(axis=1) - right.sum(axis=1))[asked.any(axis=1)]
        interval = mean_interval([float(d) * len(differences) / count for d in differences])
    return _group(name, count, (right.sum() / count, float_right.sum() / count), 1.0, interval)


def _of_scores(name: str, pair: ScoredPair, members: Members, sign: float) -> GroupScore | None:
    own, floats = pair.own, pair.floats
    if floats is None:
        return None
    if own.corpus is not None and floats.corpus is not None:
        values = own.corpus.of_some(members), floats.corpus.of_some(members)
        if values[0] is None or values[1] is None:
            return None
        return _group(name, int(members.sum()), (values[0], values[1]), sign, None)
    sides = np.array(own.by_input)[members], np.array(floats.by_input)[members]
    interval = mean_interval((sign * (sides[1] - sides[0])).tolist())
    return _group(name, len(sides[0]), (float(sides[0].mean()), float(sides[1].mean())), sign, interval)


def _group(
    name: str, count: int, values: tuple[float, float], sign: float, interval: tuple[float, float] | None
) -> GroupScore:
    low, high = interval or (None, None)
    value, float_value = map(float, values)
    drop = sign * (float_value - value)
    return GroupScore(name=name, count=count, value=value, float_value=float_value, drop=drop, low=low, high=high)


def _worst(groups: list[GroupScore]) -> tuple[GroupScore, ...]:
    # Of equal drops, that of the larger group is the surer one.
    return tuple(sorted(groups, key=lambda group: (-group.drop, -group.count))[:MOST_GROUPS])


def _most_lost(change: npt.NDArray[np.float64]) -> list[int]:
    order = np.argsort(change, kind="stable")
    return [int(index) for index in order[:MOST_CHANGED] if change[index] < 0]


def _changed_answer(index: int, loss: float, marks: Marks, floats: Marks) -> ChangedInput:
    if not marks.single:
        return ChangedInput(index=index, loss=float(loss))
    return ChangedInput(
        index=index,
        loss=float(loss),
        label=int(marks.labels[index, 0]),
        answer=int(marks.answers[index, 0]),
        float_answer=int(floats.answers[index, 0]),
    )
