"""What the pages read: the results folder and the history, which may be missing, empty, or gone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError
from harness.farm.status import FarmStatus
from harness.history.database import History, open_history


class HistorySource:
    """A history that is opened when a page first needs it, and again after it was lost. Threads may share it."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._lock = threading.Lock()
        self._stack, self._open = ExitStack(), None  # type: ExitStack, History | None
        self._file: tuple[int, int] | None = None

    @contextmanager
    def reading(self) -> Iterator[History]:
        """Yield the open history. Raises `StoreError` where there is none, or it went away."""
        history = self._opened()
        try:
            yield history
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the history; the next page opens it again."""
        with self._lock:
            self._stack.close()
            self._open = None

    def _opened(self) -> History:
        with self._lock:
            file = self._identity()
            # A file that was replaced would be read as it was for as long as it is open.
            if self._open is None or file != self._file:
                self._stack.close()
                self._open, self._file = None, file
                self._open = self._stack.enter_context(open_history(self._where))
            return self._open

    def _identity(self) -> tuple[int, int] | None:
        if "://" in self._where:
            return None
        try:
            facts = Path(self._where).stat()
        except OSError:
            return None
        return facts.st_dev, facts.st_ino


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all pages are made from.

    ``farm`` asks the scheduler of a farm; None if the dashboard follows none. ``trusted`` is the file of the public key
    that must have signed a run, None for any run.
    """

    results: Path
    history: HistorySource
    farm: Callable[[], FarmStatus] | None = None
    trusted: str | None = None
