"""Compares outputs with those of the float model, output by output, and says whether they can be trusted.

Outputs that are no numbers to subtract are left out: integers and booleans, and what is picked in an order, such as the
boxes at the indices of a top-k. Two scores that are nearly equal may change places, and the difference of two boxes
then says nothing. Outputs that hardly depend on the input get no figures either: any file would look exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from harness.artifacts.sources.prepared_model import PreparedModel, as_prepared
from harness.artifacts.verify.plausible import LIMITS, differ_words, precision_of, why_garbage
from harness.model.card import ModelCard
from harness.records.conditions import Condition, ConditionId
from harness.scoring.class_rows import class_agreement
from harness.spec.recipe import Precision
from harness.stats.fidelity import OutputFidelity, compare_outputs, differing_inputs, variation
from harness.wire import Delegate
from harness.wire.tensors import Array

# Outputs whose deviation from input to input is below this, relative to their size, hardly depend on the input. A file
# that always gave the same answer would then reach 60 dB.
LEAST_VARIATION = 1e-3
# A file's outputs are constant if they vary less than this, relative to the float model's.
LEAST_SHARE = 0.01

# An output of the float model and of the file, as rows of shape (count, n).
Pair: TypeAlias = tuple[Array, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How outputs are judged.

    ``names``: of the float model's outputs. ``ordered``: the names of those that depend on an order. ``real`` is False
    for random weights or random inputs. ``card`` and ``labels``, the shape of the labels of one call, show whether the
    first output holds class scores, and where. ``hints``: facts about the network that explain a difference. ``rows``:
    which of ``test_count`` test inputs were run; empty for all. ``unstable``: the share of inputs that rounding alone
    changes by much.
    """

    names: tuple[str, ...]
    precision: Precision
    real: bool
    card: ModelCard
    labels: tuple[int, ...] | None = None
    ordered: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    test_count: int = 0
    unstable: float = 0.0

    def input_at(self, row: int) -> int:
        """Return the index in the test split of a row of the outputs."""
        return self.rows[row] if self.rows else row

    @property
    def which(self) -> str:
        """Which test inputs were run, in brackets; empty for all."""
        some = 0 < len(self.rows) < self.test_count
        return f" ({len(self.rows)} of the {self.test_count:,} test inputs, evenly spaced)" if some else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedOutput:
    """One output that was compared; ``differing`` are the inputs that differ by more than the precision explains."""

    name: str
    fidelity: OutputFidelity
    differing: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The result of a comparison. ``reason`` is set if the outputs cannot be trusted.

    ``compared`` has the outputs whose figures mean something, in the model's order. There is at most one condition of a
    kind.
    """

    reason: str | None
    compared: tuple[ComparedOutput, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def worst(self) -> ComparedOutput | None:
        """The output with the smallest SQNR, None if none was compared."""
        return min(self.compared, key=lambda one: one.fidelity.sqnr_db, default=None)

    @property
    def agreement(self) -> float | None:
        """The share (0…1) of inputs with the float model's top-1 answer, None without class scores."""
        return next((c.fidelity.agreement for c in self.compared if c.fidelity.agreement is not None), None)


def terms_of(card: ModelCard, model: PreparedModel, precision: Precision, delegate: Delegate) -> Terms:
    """Return how the outputs of a file of ``precision`` on ``delegate`` are judged, all test inputs run."""
    facts = model.facts
    return Terms(
        names=tuple(tensor.name for tensor in facts.outputs),
        precision=precision_of(precision, delegate),
        real=not (as_prepared(card, model).random_weights or facts.random_inputs),
        card=card,
        labels=model.labels_shape(),
        ordered=facts.ordered,
        hints=facts.hints,
        unstable=facts.unstable,
        test_count=facts.test_count,
    )


def judge(reference: Sequence[Array], outputs: Sequence[Array], terms: Terms) -> Judgement:
    """Compare ``outputs`` with ``reference``: one array per output, of shape ``(count, *output shape)``.

    Shapes may differ by dimensions of 1, which runtimes add and drop.
    """
    count = len(reference[0])
    if [o.size for o in outputs] != [r.size for r in reference]:
        shapes = [o.shape[1:] for o in outputs], [r.shape[1:] for r in reference]
        return Judgement(reason=f"its outputs have shapes {shapes[0]}; the float model has {shapes[1]}")
    pairs = {
        name: (r.reshape(count, -1), o.reshape(count, -1))
        for name, r, o in zip(terms.names, reference, outputs, strict=True)
        if o.size
    }
    numbers = {n: pair for n, pair in pairs.items() if pair[0].dtype.kind == "f" and n not in terms.ordered}
    every = {name: _compare(name, pair, terms) for name, pair in numbers.items()}
    scores = every.get(terms.names[0])
    if scores is not None:
        agreement = class_agreement(terms.card, reference[0], outputs[0], terms.labels)
        every[scores.name] = replace(scores, fidelity=replace(scores.fidelity, agreement=agreement))
    reasons = [_why_not_finite(numbers), *(_why_wrong(every[name], pair, terms) for name, pair in numbers.items())]
    reason = next((r for r in reasons if r is not None), None)
    telling = {n: pair for n, pair in numbers.items() if not _is_constant(pair[0]) and not _ignores_input(pair)}
    compared = tuple(every[name] for name in telling)
    conditions = [*_left_out(pairs, terms), *_constant(numbers), *_infinite(numbers)]
    conditions += [] if reason else _differing(compared)
    return Judgement(reason=reason, compared=compared, conditions=_one_of_each(conditions))


def why_nothing_finite(outputs: Sequence[Array]) -> str | None:
    """Return a reason if not one float value of ``outputs`` is finite, else None; for files without a float model."""
    floats = [output for output in outputs if output.dtype.kind == "f" and output.size]
    if not floats or any(np.isfinite(output).any() for output in floats):
        return None
    return f"all {sum(output.size for output in floats):,} output values are NaN or infinite"


def _compare(name: str, pair: Pair, terms: Terms) -> ComparedOutput:
    fidelity = compare_outputs(*pair, classes=False)
    rows = differing_inputs(*pair, LIMITS[terms.precision].input_db)
    return ComparedOutput(
        name=name,
        fidelity=replace(fidelity, worst_input=terms.input_at(fidelity.worst_input)),
        differing=tuple(map(terms.input_at, rows)),
    )


def _why_wrong(one: ComparedOutput, pair: Pair, terms: Terms) -> str | None:
    strict = terms.real or LIMITS[terms.precision].whole
    if _ignores_input(pair):
        return f"{_same(one.name)}; the float model's is not" if strict else None
    reason = why_garbage(one.fidelity, one.differing, terms.precision, real=terms.real, unstable=terms.unstable)
    if reason is None:
        return None
    output = f"{one.name}: " if len(terms.names) > 1 else ""
    return "; ".join([output + reason + terms.which, *terms.hints])


def _why_not_finite(numbers: dict[str, Pair]) -> str | None:
    for name, (expected, actual) in numbers.items():
        new = int(np.count_nonzero(~np.isfinite(actual) & np.isfinite(expected)))
        if new:
            return f"{new:,} of {actual.size:,} output values are NaN or infinite in {name}; the float model's are not"
        lost = ~np.isfinite(expected) & ~((expected == actual) | (np.isnan(expected) & np.isnan(actual)))
        if lost.any():
            return (
                f"{np.count_nonzero(lost):,} of {actual.size:,} values of {name} are NaN or infinite in the float "
                "model and other values in this file: use a large finite number, such as -1e4, in the network"
            )
    return None


def _is_constant(expected: Array) -> bool:
    varies = variation(expected)
    return varies is not None and varies <= LEAST_VARIATION


def _ignores_input(pair: Pair) -> bool:
    """Whether the file's outputs vary far less from input to input than the float model's."""
    expected, actual = (variation(side) for side in pair)
    if np.isnan(pair[1]).any():
        return False
    return expected is not None and actual is not None and actual < LEAST_SHARE * expected


def _same(name: str) -> str:
    return f"{name} is the same for every input"


def _left_out(pairs: dict[str, Pair], terms: Terms) -> Iterator[Condition]:
    kinds = {n: str(expected.dtype) for n, (expected, _) in pairs.items() if expected.dtype.kind != "f"}
    kinds |= {name: "picked in an order" for name in pairs if name in terms.ordered and name not in kinds}
    if kinds:
        listed = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        summary = f"not compared with the float model: {listed}; the folder's own metric can judge such outputs"
        yield Condition(id=ConditionId.NOT_COMPARED, summary=summary)


def _constant(numbers: dict[str, Pair]) -> Iterator[Condition]:
    for name, pair in numbers.items():
        if _is_constant(pair[0]):
            summary = f"{_same(name)} in the float model, or nearly: any file would look exact, so no fidelity is shown"
            yield Condition(id=ConditionId.CONSTANT_OUTPUT, summary=summary)
        elif _ignores_input(pair):
            summary = f"{_same(name)} in this file, and not in the float model"
            yield Condition(id=ConditionId.CONSTANT_OUTPUT, summary=summary)


def _infinite(numbers: dict[str, Pair]) -> Iterator[Condition]:
    for name, (expected, _) in numbers.items():
        count = int(np.count_nonzero(~np.isfinite(expected)))
        if count:
            summary = f"the float model itself has {count:,} of {expected.size:,} values of {name} NaN or infinite"
            yield Condition(id=ConditionId.NON_FINITE, summary=f"{summary}; equal ones count as equal")


def _differing(compared: Sequence[ComparedOutput]) -> Iterator[Condition]:
    for one in compared:
        if one.differing:
            summary = f"{one.name}: {differ_words(one.fidelity, one.differing)}"
            yield Condition(id=ConditionId.INPUTS_DIFFER, summary=summary)


def _one_of_each(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """Join the summaries of conditions of one kind."""
    joined: dict[ConditionId, Condition] = {}
    for condition in conditions:
        first = joined.get(condition.id)
        summary = condition.summary if first is None else f"{first.summary}; {condition.summary}"
        joined[condition.id] = replace(condition, summary=summary)
    return tuple(joined.values())
