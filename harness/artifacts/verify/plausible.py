"""When outputs are garbage. The same rule applies to a new artifact on the host and to outputs from a device.

A phone's delegate can be wrong for a file that is right on the host, so verification after the build is not enough.
"""

from __future__ import annotations

# Outputs below these limits are garbage rather than imprecise: working int8 files are far above, broken ones far below.
MIN_SQNR_DB = 5.0
MIN_AGREEMENT = 0.5

# With random inputs or untrained weights, quantisation error means little. Only noise above the signal is refused.
MIN_SQNR_RANDOM_DB = 0.0


def why_garbage(sqnr_db: float, agreement: float | None, count: int, *, real: bool) -> str | None:
    """Return why outputs cannot be trusted, or None if they can.

    ``sqnr_db`` and ``agreement`` (0…1, None without classes) compare them with the float model on ``count`` inputs.
    ``real`` is False for random weights or random inputs.
    """
    limit = MIN_SQNR_DB if real else MIN_SQNR_RANDOM_DB
    if sqnr_db < limit:
        return f"its outputs have {sqnr_db:.1f} dB signal to noise against the float model; the minimum is {limit:g} dB"
    if real and agreement is not None and agreement < MIN_AGREEMENT:
        return f"its top-1 agrees with the float model on {agreement:.0%} of {count} inputs; the minimum is half"
    return None
