"""When outputs are garbage: one rule for the gate after a build and for what comes back from a device.

Delegates of phones can be wrong where the same file is right on the host, so passing the gate once is not enough.
"""

from __future__ import annotations

# Below these outputs are garbage rather than imprecise: real int8 files lie well above, known bad ones well below.
MIN_SQNR_DB = 5.0
MIN_AGREEMENT = 0.5

# On made-up inputs, or of untrained weights, quantisation error says little; only noise above the signal is refused.
MIN_SQNR_RANDOM_DB = 0.0


def why_garbage(sqnr_db: float, agreement: float | None, count: int, *, real: bool) -> str | None:
    """Return why outputs cannot be believed, or None when they can.

    ``sqnr_db`` and ``agreement`` (0…1, None without classes) are against the float model on ``count`` inputs; ``real``
    is False for random weights or random inputs.
    """
    limit = MIN_SQNR_DB if real else MIN_SQNR_RANDOM_DB
    if sqnr_db < limit:
        return f"its outputs stand {sqnr_db:.1f} dB above their error against the float model, {limit:g} are needed"
    if real and agreement is not None and agreement < MIN_AGREEMENT:
        return f"its top-1 agrees with the float model on {agreement:.0%} of {count} inputs, half is needed"
    return None
