"""Verification: no artifact is measured before its own runtime has run it on real inputs.

Several exporters and quantisers write garbage without an error, and only running the file shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.artifacts.layout import to_channels_last
from harness.artifacts.manifest import ArtifactState
from harness.artifacts.sources.made_variant import VariedModel, own_reference
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.artifacts.verify.plausible import why_garbage
from harness.model.card import ModelCard
from harness.runners.host.runtimes.registry import open_session, run_once
from harness.runners.host.runtimes.session import SessionError
from harness.scoring.class_rows import class_agreement
from harness.stats.fidelity import OutputFidelity, compare_outputs
from harness.wire import Delegate, Format, RuntimeRequest
from harness.wire.tensors import Array

# Inputs run for verification. The whole test split is run later, on the device.
VERIFIED_INPUTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """The result of a verification. ``state`` is ready or broken; ``reason`` is set if broken."""

    state: ArtifactState
    reason: str | None
    sqnr_db: float | None
    agreement: float | None
    inputs: int
    own_sqnr_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an artifact is compared with: the model, and its variant if graph steps changed the network.

    ``channel_last``: the artifact takes images with their channels last.
    """

    model: PreparedModel
    card: ModelCard
    varied: VariedModel | None = None
    channel_last: bool = False


def verify(path: Path, format_: Format, delegate: Delegate, expected: Expected) -> VerificationResult:
    """Load ``path`` in its own runtime, run it on the first test inputs, and compare with the float network.

    After graph steps the artifact is judged by the network that they produced. The report shows what the steps cost.
    """
    model = expected.model
    count = min(VERIFIED_INPUTS, model.facts.test_count)
    inputs = tuple(array[:count] for array in model.test_inputs())
    if expected.channel_last:
        inputs = to_channels_last(inputs, model.facts.inputs)
    try:
        outputs = _run_all(path, format_, delegate, inputs)
    except SessionError as error:
        return _broken(f"it does not run in its own runtime: {error}", count)
    bad = sum(int(np.count_nonzero(~np.isfinite(o))) for o in outputs if o.dtype.kind == "f")
    if bad:
        return _broken(f"{bad:,} of {sum(o.size for o in outputs):,} output values are NaN or infinite", count)
    reference = own_reference(model, expected.varied)
    if reference is None:
        return VerificationResult(state=ArtifactState.READY, reason=None, sqnr_db=None, agreement=None, inputs=count)
    # Sizes instead of shapes, because runtimes add or drop dimensions of 1.
    if [o.size for o in outputs] != [r[:count].size for r in reference]:
        shapes = [o.shape[1:] for o in outputs], [r.shape[1:] for r in reference]
        return _broken(f"its outputs have shapes {shapes[0]}; the float model has {shapes[1]}", count)
    result = _judge(_fidelities(reference, outputs, count, expected), real=_is_real(expected))
    original = model.reference()
    if expected.varied is None or original is None:
        return result
    fidelities = _fidelities(original, outputs, count, expected)
    sqnr = min(s.sqnr_db for s in fidelities)
    return replace(result, own_sqnr_db=result.sqnr_db, sqnr_db=sqnr, agreement=fidelities[0].agreement)


def _is_real(expected: Expected) -> bool:
    return not (expected.card.random_weights or expected.model.facts.random_inputs)


def _fidelities(
    reference: tuple[Array, ...], outputs: tuple[Array, ...], count: int, expected: Expected
) -> list[OutputFidelity]:
    sides = [(r[:count].reshape(count, -1), o.reshape(count, -1)) for r, o in zip(reference, outputs, strict=True)]
    first, *others = [compare_outputs(r, o, classes=False) for r, o in sides]
    agreement = class_agreement(expected.card, reference[0][:count], outputs[0], expected.model.labels_shape())
    return [replace(first, agreement=agreement), *others]


def _run_all(path: Path, format_: Format, delegate: Delegate, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    session = open_session(path, RuntimeRequest(delegate=delegate, threads=1), format_)
    try:
        rows = [run_once(session, tuple(a[i] for a in inputs)) for i in range(len(inputs[0]))]
    finally:
        session.close()
    return tuple(np.stack([np.asarray(o) for o in column]) for column in zip(*rows, strict=True))


def _judge(fidelities: list[OutputFidelity], *, real: bool) -> VerificationResult:
    """Judge by the worst ratio of all outputs, and by the agreement of the first, which holds the scores."""
    sqnr, agreement, count = min(s.sqnr_db for s in fidelities), fidelities[0].agreement, fidelities[0].count
    reason = why_garbage(sqnr, agreement, count, real=real)
    state = ArtifactState.BROKEN if reason else ArtifactState.READY
    return VerificationResult(state=state, reason=reason, sqnr_db=sqnr, agreement=agreement, inputs=count)


def _broken(reason: str, count: int) -> VerificationResult:
    return VerificationResult(state=ArtifactState.BROKEN, reason=reason, sqnr_db=None, agreement=None, inputs=count)
