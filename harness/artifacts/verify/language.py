"""Verification of language models: no file is measured before its own runtime has scored a text.

Perplexity is exp of the mean negative log-likelihood per token. A broken quantisation raises it towards that of a model
that knows nothing, whose perplexity is the size of its vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.artifacts.manifest import ArtifactState
from harness.artifacts.sources.prepared_model import PreparedLanguage
from harness.artifacts.verify.verify import Expected, VerificationResult, chosen_rows
from harness.runners.host.runtimes.registry import open_language
from harness.runners.host.runtimes.session import SessionError
from harness.spec.recipe import Precision
from harness.stats.fidelity import OutputFidelity, compare_outputs
from harness.wire import Delegate, Format, RuntimeRequest
from harness.wire.tensors import Array

# Rows of text that are scored; the device scores all of them later.
VERIFIED_ROWS = 4
# A float model that is nearly as unsure as one that knows nothing is untrained: which token is likeliest is chance.
UNTRAINED = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a file in one precision must reach: nats per token above the float model, and the share of equal top-1.

    ``apart``: the most nats, in the mean over tokens, that likelihoods may be away from the float model's, up or down.
    """

    nats: float
    agreement: float

    @property
    def apart(self) -> float:
        return _APART * self.nats


# Rounding moves single tokens up and down by more than their mean: by up to twice as much in working files. In another
# network the likelihoods of a random text are several nats away, and their mean may still be the same by chance.
_APART = 3
_EIGHT = Limits(nats=0.25, agreement=0.7)
_FOUR = Limits(nats=0.5, agreement=0.5)
# Rounding in float32 changes the mean by less than 0.001 nats. Round-to-nearest int4 costs small models 0.02 to 0.3,
# and a file with wrong scales or a transposed matrix several.
LIMITS: dict[Precision, Limits] = {
    Precision.FP32: Limits(nats=0.01, agreement=0.98),
    Precision.FP16: Limits(nats=0.05, agreement=0.9),
    Precision.BF16: Limits(nats=0.1, agreement=0.85),
    Precision.INT8: _EIGHT,
    Precision.INT8_DYNAMIC: _EIGHT,
    Precision.INT8_WEIGHT: _EIGHT,
    Precision.INT16X8: _EIGHT,
    Precision.INT4_WEIGHT: _FOUR,
    Precision.INT8_DYNAMIC_INT4: _FOUR,
}


def perplexity_of(nats: float) -> float:
    """Return exp of ``nats``, a mean per token; infinite where no float can hold it, as for a broken file."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedText:
    """The scores of a file and of the float model on the ``tokens`` tokens that the file's runtime scored.

    ``nats`` and ``float_nats``: mean negative log-likelihood per token. ``apart``: the mean distance of the two, token
    by token. ``agreement``: the share (0…1) of positions with the same likeliest token, None if the runtime does not
    say which that is. ``fidelity`` compares the likelihoods row by row; ``agreement`` in it is None.
    """

    nats: float
    float_nats: float
    apart: float
    agreement: float | None
    tokens: int
    fidelity: OutputFidelity

    @property
    def perplexity(self) -> float:
        """The file's perplexity."""
        return perplexity_of(self.nats)

    @property
    def float_perplexity(self) -> float:
        """The float model's perplexity."""
        return perplexity_of(self.float_nats)


def compare_text(reference: tuple[Array, Array], outputs: tuple[Array, Array]) -> ComparedText:
    """Compare likelihoods and likeliest tokens, each of shape (rows, tokens - 1), with the float model's.

    At least one token must be scored. Those that are not, whose likelihood is NaN, are left out on both sides.
    """
    nll, float_nll = (np.asarray(side[0], dtype=np.float64) for side in (outputs, reference))
    scored, known = ~np.isnan(nll), outputs[1] >= 0
    rows = scored.any(axis=1)
    kept, float_kept = (np.where(scored, side, 0.0)[rows] for side in (nll, float_nll))
    return ComparedText(
        nats=float(nll[scored].mean()),
        float_nats=float(float_nll[scored].mean()),
        apart=float(np.abs(nll[scored] - float_nll[scored]).mean()),
        agreement=float(np.mean(outputs[1][known] == reference[1][known])) if known.any() else None,
        tokens=int(scored.sum()),
        fidelity=compare_outputs(float_kept, kept, classes=False),
    )


def why_implausible(compared: ComparedText, precision: Precision, vocabulary: int) -> str | None:
    """Return why a file cannot be trusted, or None if it can."""
    limits = LIMITS[precision]
    if not math.isfinite(compared.nats):
        return "its likelihoods are not finite"
    if compared.nats > compared.float_nats + limits.nats:
        most = perplexity_of(compared.float_nats + limits.nats)
        return (
            f"its perplexity is {compared.perplexity:.4g} and the float model's {compared.float_perplexity:.4g} on the "
            f"same {compared.tokens} tokens; the maximum in {precision.value} is {most:.4g}"
        )
    if compared.apart > limits.apart:
        return (
            f"its log-likelihoods are {compared.apart:.3g} nats per token away from the float model's on the same "
            f"{compared.tokens} tokens, so it computes something else; the maximum in {precision.value} is "
            f"{limits.apart:.3g}"
        )
    untrained = compared.float_nats > UNTRAINED * math.log(vocabulary)
    if not untrained and compared.agreement is not None and compared.agreement < limits.agreement:
        return (
            f"its likeliest token agrees with the float model's at {compared.agreement:.1%} of {compared.tokens} "
            f"positions; the minimum in {precision.value} is {limits.agreement:.0%}"
        )
    return None


def verify_language(path: Path, format_: Format, delegate: Delegate, expected: Expected) -> VerificationResult:
    """Load ``path`` in its own runtime, score rows of text, and compare with the float model.

    A file without a float model only has to run.
    """
    language = expected.model.facts.language
    rows = chosen_rows(language.windows if language else 1, VERIFIED_ROWS)
    tokens = expected.model.test_inputs()[0][list(rows)]
    columns = language.text[1] if language else slice(None)
    try:
        outputs = _score(path, format_, delegate, tokens, columns)
    except SessionError as error:
        state = ArtifactState.UNSUPPORTED if error.unsupported else ArtifactState.BROKEN
        reason = error.message if error.unsupported else f"it does not run in its own runtime: {error}"
        return VerificationResult(state=state, reason=reason, sqnr_db=None, agreement=None, inputs=len(rows))
    reference = expected.model.reference()
    if outputs is None or reference is None or language is None:
        scored = 0 if outputs is None else len(rows)
        return VerificationResult(state=ArtifactState.READY, reason=None, sqnr_db=None, agreement=None, inputs=scored)
    chosen = list(rows)
    expected_of_text = (reference[0][chosen][:, columns], reference[1][chosen][:, columns])
    return _judged(outputs, expected_of_text, expected.precision, language)


def _judged(
    outputs: tuple[Array, Array], reference: tuple[Array, Array], precision: Precision, language: PreparedLanguage
) -> VerificationResult:
    compared = compare_text(reference, outputs)
    reason = why_implausible(compared, precision, language.vocabulary)
    return VerificationResult(
        state=ArtifactState.BROKEN if reason else ArtifactState.READY,
        reason=reason,
        sqnr_db=compared.fidelity.sqnr_db,
        agreement=compared.agreement,
        inputs=len(outputs[0]),
        sqnr_min_db=compared.fidelity.sqnr_min_db,
        worst_input=None,
    )


def _score(
    path: Path, format_: Format, delegate: Delegate, tokens: Array, columns: slice
) -> tuple[Array, Array] | None:
    """The scores of ``columns`` of each row; None if the runtime cannot score any of these tokens."""
    session = open_language(path, RuntimeRequest(delegate=delegate, threads=1), format_)
    try:
        scored = [session.score(row.tolist()) for row in tokens]
    except SessionError as error:
        if not error.unsupported:
            raise
        return None
    finally:
        session.close()
    nll, top1 = (np.stack(side)[:, columns] for side in zip(*scored, strict=True))
    return None if np.isnan(nll).all() else (nll, top1)
