"""When outputs are wrong, by precision. The same rules apply to a new artifact on the host and to outputs of a device.

A phone's delegate can be wrong for a file that is right on the host, so verification after the build is not enough.
The limits separate files that compute something else from files that compute the same with fewer bits. They lie far
from both: what a precision costs on working networks was measured, and so was what broken files give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.spec.recipe import Precision
from harness.stats.fidelity import OutputFidelity
from harness.wire import Delegate

MIN_AGREEMENT = 0.5

# With random inputs or untrained weights, quantisation error means little. Only noise above the signal is refused.
MIN_SQNR_RANDOM_DB = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What outputs in one precision must reach against the float model.

    ``median_db``: the SQNR of the median input. ``input_db``: an input whose error exceeds this, relative to its own
    outputs or to the usual ones, differs. ``differing``: the share (0…1) of inputs that may differ. ``whole``: the
    limits hold for random weights and inputs too, because nothing but rounding separates the file from the model.
    """

    median_db: float
    input_db: float
    differing: float
    whole: bool = False


LIMITS: dict[Precision, Limits] = {
    # 24 bits are 144 dB; hundreds of layers, and kernels that approximate exp or tanh, leave 100 to 130. What is below
    # 50 dB (an error of 0.3 %) is no rounding: the file computes something else. One such input is enough, because it
    # shows a branch or a state that the file does not have.
    Precision.FP32: Limits(median_db=50, input_db=50, differing=0, whole=True),
    # 11 bits are 66 dB, and working networks have 42 to 65. An input that overflows, or that a threshold inside the
    # network decides the other way, may differ by much, but few may.
    Precision.FP16: Limits(median_db=20, input_db=10, differing=0.05),
    # 8 bits are 48 dB, and working networks have 25 to 45.
    Precision.BF16: Limits(median_db=10, input_db=5, differing=0.05),
    # Working static int8 files have 8 to 30 dB, garbage has -65 to 3. Ranges were observed on other inputs, so some
    # inputs are clipped: the error of a few may exceed their signal.
    Precision.INT8: Limits(median_db=5, input_db=0, differing=0.1),
    # Activations in 16 bits add next to nothing to the error of weights in 8 bits.
    Precision.INT16X8: Limits(median_db=8, input_db=0, differing=0.05),
    # Only the weights are coarse; ranges come from the input itself, so no input is clipped. Working files have 19 to
    # 41 dB.
    Precision.INT8_DYNAMIC: Limits(median_db=8, input_db=0, differing=0.05),
    Precision.INT8_WEIGHT: Limits(median_db=8, input_db=0, differing=0.05),
    # 15 levels per weight: working files have 14 to 20 dB, int4 convolutions without retraining have -2.
    Precision.INT4_WEIGHT: Limits(median_db=3, input_db=-3, differing=0.1),
}

# Delegates that may compute a float32 file in float16, whatever the file says.
_HALF_PRECISION = (Delegate.GPU, Delegate.NNAPI, Delegate.COREML, Delegate.QNN)


def precision_of(precision: Precision, delegate: Delegate) -> Precision:
    """Return the precision in which ``delegate`` may compute a file of ``precision``."""
    return Precision.FP16 if precision is Precision.FP32 and delegate in _HALF_PRECISION else precision


def why_garbage(
    fidelity: OutputFidelity, differing: Sequence[int], precision: Precision, *, real: bool, unstable: float = 0.0
) -> str | None:
    """Return why outputs cannot be trusted, or None if they can.

    ``differing``: the inputs that differ by more than `Limits.input_db`. ``real`` is False for random weights or random
    inputs. ``unstable``: the share (0…1) of inputs for which rounding alone changes the float model's outputs by much.
    """
    limits = LIMITS[precision]
    # Twice as many and one more, because which inputs lie so near to a threshold is a matter of chance.
    allowed = limits.differing * fidelity.count + (2 * unstable * fidelity.count + 1 if unstable else 0)
    strict = real or limits.whole
    least = limits.median_db if strict else MIN_SQNR_RANDOM_DB
    if fidelity.sqnr_db < least:
        return (
            f"its outputs have {fidelity.sqnr_db:.1f} dB signal to noise against the float model; the minimum is "
            f"{least:g} dB in {precision.value}"
        ) + (f"; {differ_words(fidelity, differing)}" if differing else "")
    if strict and len(differing) > allowed:
        return f"{differ_words(fidelity, differing)}; in {precision.value} {_allowed(limits)}"
    if real and fidelity.agreement is not None and fidelity.agreement < MIN_AGREEMENT:
        return (
            f"its top-1 agrees with the float model on {fidelity.agreement:.0%} of {fidelity.count} inputs; the "
            "minimum is half"
        )
    return None


def differ_words(fidelity: OutputFidelity, differing: Sequence[int]) -> str:
    """Return how many inputs differ from the float model, with the figures of the median and of the worst input."""
    verb = "differs" if len(differing) == 1 else "differ"
    return (
        f"{len(differing)} of {fidelity.count} inputs {verb} from the float model (median {fidelity.sqnr_db:.1f} dB, "
        f"worst {fidelity.sqnr_min_db:.1f} dB on input {fidelity.worst_input})"
    )


def _allowed(limits: Limits) -> str:
    if not limits.differing:
        return f"every input must reach {limits.input_db:g} dB"
    return f"at most {limits.differing:.0%} of the inputs may be below {limits.input_db:g} dB"
