"""Progress bars for scripts and notebooks, by tqdm, which knows where it runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from harness.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Callable

# How many units that are being worked on a bar names.
_NAMED = 2


class Bars:
    """A `Progress` with one bar per stage; what is being worked on stands behind it."""

    def __init__(self, new_bar: Callable[..., Any]) -> None:
        self._new_bar = new_bar
        self._bar: Any = None
        self._running: list[str] = []
        self._lock = threading.Lock()

    def start(self, stage: str, total: int) -> None:
        """Begin a bar of ``total`` units."""
        with self._lock:
            self._running = []
            self._bar = self._new_bar(total=total, desc=stage, leave=True)

    def begin(self, unit: str) -> None:
        """Name ``unit`` behind the bar."""
        with self._lock:
            self._running.append(unit)
            self._show()

    def end(self, unit: str) -> None:
        """Name ``unit`` no longer."""
        with self._lock:
            self._forget(unit)

    def step(self, unit: str, outcome: str) -> None:  # noqa: ARG002  the outcome is in the run
        """Move the bar by one unit."""
        with self._lock:
            self._forget(unit)
            if self._bar is not None:
                self._bar.update(1)

    def finish(self) -> None:
        """Close the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
            self._bar = None

    def _forget(self, unit: str) -> None:
        if unit in self._running:
            self._running.remove(unit)
        self._show()

    def _show(self) -> None:
        if self._bar is not None:
            more = f" and {len(self._running) - _NAMED} more" if len(self._running) > _NAMED else ""
            self._bar.set_postfix_str(", ".join(self._running[:_NAMED]) + more)


def progress_of(progress: Progress | bool) -> Progress:
    """Return ``progress`` itself, bars for True, nothing for False. Without tqdm there are no bars."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return Silent()
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        return Silent()
    return Bars(tqdm)
