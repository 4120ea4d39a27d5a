"""The current time as text, and how long something took."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time in ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stopwatch:
    """Measures how long something takes, from when it is made."""

    def __init__(self) -> None:
        self._monotonic_ns, self._wall_ns = time.monotonic_ns(), time.time_ns()

    def passed_ns(self) -> int:
        """Return how long ago it was made, in ns; never too short.

        The monotonic clock of some systems stands still while the computer sleeps. A phone goes on measuring meanwhile.
        """
        return max(time.monotonic_ns() - self._monotonic_ns, time.time_ns() - self._wall_ns)
