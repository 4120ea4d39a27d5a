"""What the phone logs, for the services that pass it on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log."""

    at_s: float
    pid: int
    process: str
    text: str


class Log:
    """The newest lines, and those who follow them."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._changed = threading.Condition()
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, pid: int, process: str, text: str) -> None:
        """Log a line."""
        with self._changed:
            self._entries.append(Entry(at_s=self._now_s(), pid=pid, process=process, text=text))
            self._count += 1
            self._changed.notify_all()

    @property
    def count(self) -> int:
        """How many lines there were so far."""
        with self._changed:
            return self._count

    def after(self, count: int, timeout_s: float) -> tuple[list[Entry], int]:
        """Wait for lines after that many; return them and the new count. Without news the list is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > count, timeout_s)
            fresh = min(self._count - count, len(self._entries))
            return list(self._entries)[len(self._entries) - fresh :], self._count
