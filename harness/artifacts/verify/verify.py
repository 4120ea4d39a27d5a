"""Verification: no artifact is measured before its own runtime has run it on real inputs.

Several exporters and quantisers write garbage without an error, and only running the file shows it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.artifacts.layout import to_channels_last
from harness.artifacts.manifest import ArtifactState
from harness.artifacts.sources.made_variant import VariedModel, references
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.artifacts.verify.judge import Judgement, judge, terms_of, why_nothing_finite
from harness.artifacts.verify.made_up import other_values
from harness.artifacts.verify.plausible import LIMITS
from harness.model.card import ModelCard
from harness.records.conditions import Condition, ConditionId
from harness.runners.host.runtimes.registry import SECOND_ENGINES, open_session, run_once
from harness.runners.host.runtimes.session import Session, SessionError, in_model_order
from harness.spec.recipe import Precision
from harness.wire import Delegate, FailureKind, Format, RuntimeRequest
from harness.wire.tensors import Array

# Inputs run for verification, evenly spaced over the test split: one that is sorted by class begins with one class
# only. A branch that one input in ten takes is missed once in a thousand times. All inputs are run on the device later.
VERIFIED_INPUTS = 64

# Other kernels are tried on a file that is broken or less than this above its limit, and are better from this on.
_DOUBTFUL_DB = 10.0
_BETTER_DB = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """The result of a verification. ``state`` is ready or broken; ``reason`` is set if broken.

    ``sqnr_db`` is the median over inputs of the worst output; ``sqnr_min_db`` and ``worst_input`` (an index of the test
    split) are those of its worst input, and ``differing`` counts the inputs that differ by more than the precision
    explains. ``conditions`` has at most one of a kind.
    """

    state: ArtifactState
    reason: str | None
    sqnr_db: float | None
    agreement: float | None
    inputs: int
    own_sqnr_db: float | None = None
    sqnr_min_db: float | None = None
    worst_input: int | None = None
    differing: int = 0
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an artifact is compared with: the model, and its variant if graph steps changed the network.

    ``channel_last``: the artifact takes images with their channels last. ``precision`` decides how close it must be.
    """

    model: PreparedModel
    card: ModelCard
    varied: VariedModel | None = None
    channel_last: bool = False
    precision: Precision = Precision.FP32


def verify(path: Path, format_: Format, delegate: Delegate, expected: Expected) -> VerificationResult:
    """Load ``path`` in its own runtime, run it on test inputs, and compare with the float network.

    After graph steps the artifact is judged by the network that they produced. The report shows what the steps cost.
    A file that gives wrong or poor outputs is run a second time with other kernels of its runtime: if those are right,
    the file is right, and the kernels of this computer are not.
    """
    request = RuntimeRequest(delegate=delegate, threads=1)
    rows = chosen_rows(expected.model.facts.test_count)
    first = _attempt(functools.partial(open_session, path, request, format_), rows, delegate, expected)
    if not _is_doubtful(first, expected):
        return first
    for engine in SECOND_ENGINES.get(format_, ()):
        if engine.applies(request):
            some = _some_rows(rows, first, engine.most_inputs)
            second = _attempt(functools.partial(engine.load, path, request), some, delegate, expected)
            if _is_better(second, first):
                return _with_second(first, second, engine.name)
    return first


def _is_doubtful(result: VerificationResult, expected: Expected) -> bool:
    """Whether other kernels should be tried: the file is broken, or close to it."""
    if result.state is not ArtifactState.READY:
        return True
    judged = result.sqnr_db if result.own_sqnr_db is None else result.own_sqnr_db
    return judged is not None and judged < LIMITS[expected.precision].median_db + _DOUBTFUL_DB


def _some_rows(rows: tuple[int, ...], first: VerificationResult, most: int) -> tuple[int, ...]:
    """Up to ``most`` of ``rows``: the worst input, and others evenly spaced."""
    if len(rows) <= most:
        return rows
    spaced = [rows[at] for at in chosen_rows(len(rows), most)]
    worst = [] if first.worst_input is None else [first.worst_input]
    return tuple(sorted(dict.fromkeys([*worst, *spaced])))[: most + 1]


def _is_better(second: VerificationResult, first: VerificationResult) -> bool:
    if second.state is not ArtifactState.READY or first.state is not ArtifactState.READY:
        return second.state is ArtifactState.READY
    return (second.sqnr_db or 0) >= (first.sqnr_db or 0) + _BETTER_DB


def _with_second(first: VerificationResult, second: VerificationResult, engine: str) -> VerificationResult:
    """What both engines say together. Of a file that only the second runs rightly, the figures are the second's."""
    better = f"{second.sqnr_db:.1f} dB" if second.sqnr_db is not None else "right"
    worse = f"{first.sqnr_db:.1f} dB" if first.state is ArtifactState.READY else first.reason
    summary = f"with {engine} the file is {better}, and with this computer's usual kernels: {worse}"
    figures = first if first.state is ArtifactState.READY else second
    condition = Condition(id=ConditionId.HOST_KERNEL, summary=summary)
    return replace(figures, conditions=(*figures.conditions, condition))


def chosen_rows(count: int, most: int = VERIFIED_INPUTS) -> tuple[int, ...]:
    """Return the test inputs that are run for verification: at most ``most`` of ``count`` in all, evenly spaced."""
    return tuple(int(row) for row in np.linspace(0, count - 1, min(most, count)).round())


def _attempt(
    load: Callable[[], Session], rows: tuple[int, ...], delegate: Delegate, expected: Expected
) -> VerificationResult:
    inputs = tuple(array[list(rows)] for array in expected.model.test_inputs())
    if expected.channel_last:
        inputs = to_channels_last(inputs, expected.model.facts.inputs)
    try:
        outputs = _run_all(load, inputs, [spec.name for spec in expected.model.facts.inputs])
    except SessionError as error:
        return _not_run(error, expected, len(rows))
    return _compare(outputs, rows, delegate, expected)


def _not_run(error: SessionError, expected: Expected, count: int) -> VerificationResult:
    if error.unsupported:
        return replace(_broken(str(error), count), state=ArtifactState.UNSUPPORTED)
    facts = expected.model.facts
    if expected.card.ready is not None and error.kind is FailureKind.RUN and facts.random_inputs:
        return replace(_broken(other_values(facts, str(error)), count), state=ArtifactState.UNSUPPORTED)
    return _broken(f"it does not run in its own runtime: {error}", count)


def _compare(
    outputs: tuple[Array, ...], rows: tuple[int, ...], delegate: Delegate, expected: Expected
) -> VerificationResult:
    model, varied = expected.model, expected.varied
    reference, original = references(model, varied)
    if reference is None:
        reason = why_nothing_finite(outputs)
        return _broken(reason, len(rows)) if reason else _result(Judgement(reason=None), len(rows))
    terms = replace(terms_of(expected.card, model, expected.precision, delegate), rows=rows)
    result = _result(judge([r[list(rows)] for r in reference], outputs, terms), len(rows))
    if varied is None or original is None or result.reason:
        return result
    cost = judge([r[list(rows)] for r in original], outputs, terms)
    worst = cost.worst.fidelity if cost.worst else None
    return replace(
        result, own_sqnr_db=result.sqnr_db, sqnr_db=worst.sqnr_db if worst else None, agreement=cost.agreement
    )


def _run_all(load: Callable[[], Session], inputs: tuple[Array, ...], names: list[str]) -> tuple[Array, ...]:
    session = load()
    try:
        calls = [
            run_once(session, in_model_order(session, names, [np.asarray(a[i]) for a in inputs]))
            for i in range(len(inputs[0]))
        ]
    finally:
        session.close()
    return tuple(_stacked(i, column) for i, column in enumerate(zip(*calls, strict=True)))


def _stacked(index: int, outputs: tuple[Array, ...]) -> Array:
    shapes = list(dict.fromkeys(np.shape(output) for output in outputs))
    if len(shapes) > 1:
        msg = f"output {index} has the shape {list(shapes[0])} for one input and {list(shapes[1])} for another"
        raise SessionError(FailureKind.RUN, msg)
    return np.stack(outputs)


def _result(judgement: Judgement, count: int) -> VerificationResult:
    """The figures of the worst output, and the agreement of the first, which holds the scores."""
    worst = judgement.worst
    fidelity = worst.fidelity if worst else None
    return VerificationResult(
        state=ArtifactState.BROKEN if judgement.reason else ArtifactState.READY,
        reason=judgement.reason,
        sqnr_db=fidelity.sqnr_db if fidelity else None,
        agreement=judgement.agreement,
        inputs=count,
        sqnr_min_db=fidelity.sqnr_min_db if fidelity else None,
        worst_input=fidelity.worst_input if fidelity else None,
        differing=len(worst.differing) if worst else 0,
        conditions=judgement.conditions,
    )


def _broken(reason: str, count: int) -> VerificationResult:
    return VerificationResult(state=ArtifactState.BROKEN, reason=reason, sqnr_db=None, agreement=None, inputs=count)
