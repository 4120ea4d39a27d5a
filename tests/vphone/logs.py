"""The phone's log, as ``logcat`` shows it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

LINES = 4000
LEVELS = "VDIWEF"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line; ``at_s`` is the phone's wall clock, ``buffer`` one of main, system, crash, events."""

    at_s: float
    pid: int
    level: str
    tag: str
    text: str
    buffer: str

    def __str__(self) -> str:
        """The line in the format ``threadtime``."""
        moment = time.strftime("%m-%d %H:%M:%S", time.gmtime(self.at_s))
        when = f"{moment}.{int(self.at_s % 1 * 1000):03d} {self.pid:5d} {self.pid:5d}"
        return f"{when} {self.level} {self.tag:<8}: {self.text}"


class Log:
    """Keeps the last lines of all buffers in order, and lets readers wait for more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines: deque[LogLine] = deque(maxlen=LINES)
        self._written = 0
        self._changed = threading.Condition()

    def add(self, level: str, tag: str, text: str, *, pid: int = 1, buffer: str = "main") -> None:
        """Write a text of one or more lines."""
        with self._changed:
            for one in text.splitlines():
                self._lines.append(LogLine(at_s=self._clock(), pid=pid, level=level, tag=tag, text=one, buffer=buffer))
                self._written += 1
            self._changed.notify_all()

    def now_s(self) -> float:
        """The phone's wall clock, in seconds since 1970."""
        return self._clock()

    def since(self, written: int) -> tuple[tuple[LogLine, ...], int]:
        """Return the lines after the first ``written`` ones, and how many there are in all."""
        with self._changed:
            new = min(self._written - written, len(self._lines))
            return tuple(self._lines)[len(self._lines) - new :] if new else (), self._written

    def wait(self, written: int, timeout_s: float) -> None:
        """Wait until there are more lines than that, or the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._written > written, timeout_s)

    def clear(self) -> None:
        """Forget all lines."""
        with self._changed:
            self._lines.clear()
