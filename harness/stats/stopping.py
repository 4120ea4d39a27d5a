"""When a cell has had enough launches.

The interval is checked only at a few fixed launch counts. Checking after every launch, and stopping at the first narrow
interval, would give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.stats.launches import log_half_width


def enough_launches(launch_medians_ns: Sequence[float], half_width: float | None, checkpoints: Sequence[int]) -> bool:
    """Return whether the launches so far are enough.

    They are at the last of ``checkpoints`` (launch counts), or at an earlier one if the 95 % half-width of ln(latency)
    over launches is at most ``half_width`` (None: no width is required). Raises ValueError without checkpoints.
    """
    if not checkpoints:
        msg = "there are no checkpoints: pass at least one launch count to stop at"
        raise ValueError(msg)
    count = len(launch_medians_ns)
    if count >= max(checkpoints):
        return True
    if count not in checkpoints:
        return False
    half = log_half_width(launch_medians_ns)
    return half_width is not None and half is not None and half <= half_width
