"""One deadline for a whole call to a phone, from opening the connection to the last byte."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment of the monotonic clock by which a call must have ended, ``seconds`` after it began.

    ``idle_s``: how long a single wait within the call may take, for calls that are long and never silent.
    """

    seconds: float
    ends_at: float
    idle_s: float | None = None

    def wait_s(self) -> float:
        """Return how long the next wait may take, in seconds. Raises `TimeoutError` when there is no time left."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if self.idle_s is None else min(left, self.idle_s)


def within(seconds: float, *, idle_s: float | None = None) -> Deadline:
    """Return the deadline of a call that begins now."""
    return Deadline(seconds=seconds, ends_at=time.monotonic() + seconds, idle_s=idle_s)
