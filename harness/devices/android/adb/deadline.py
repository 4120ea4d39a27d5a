"""A deadline for a whole call to a phone, from opening the connection to the last byte."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The time on the monotonic clock by which a call must end, ``seconds`` after it began.

    ``idle_s`` also limits each single wait within the call, for long calls that should never be silent.
    """

    seconds: float
    ends_at: float
    idle_s: float | None = None

    def wait_s(self) -> float:
        """Return how long the next wait may take, in seconds. Raises `TimeoutError` when no time is left."""
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s if self.idle_s is None else min(left_s, self.idle_s)


def within(seconds: float, *, idle_s: float | None = None) -> Deadline:
    """Return the deadline of a call that begins now."""
    return Deadline(seconds=seconds, ends_at=time.monotonic() + seconds, idle_s=idle_s)
