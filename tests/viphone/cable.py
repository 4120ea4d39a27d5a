"""The cable of one phone, with faults on demand; every byte between a computer and the phone passes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


class CableBrokeError(ConnectionError):
    """The cable was pulled at this byte; ``passed`` bytes of the piece still got through."""

    def __init__(self, passed: int) -> None:
        super().__init__("the cable was pulled")
        self.passed = passed


@dataclass(slots=True, kw_only=True)
class Cable:
    """The cable's faults; may be changed at any time, even while data flows.

    ``hang``: connections stay open and nothing is read or answered, so usbmuxd still lists the phone.
    ``drop_after_bytes``: bytes, both ways together, TLS included, after which the cable is pulled, once; None for
    never. ``bytes_per_second``: the speed, None for full speed. ``broke`` is called when the cable is pulled so.
    """

    hang: bool = False
    drop_after_bytes: int | None = None
    bytes_per_second: float | None = None
    broke: Callable[[], None] = lambda: None
    passed_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def let_through(self, size: int, gone: threading.Event) -> None:
        """Let this many bytes through, late or not at all; raises `CableBrokeError` at the byte where it breaks."""
        while self.hang and not gone.is_set():
            time.sleep(0.01)
        if self.bytes_per_second:
            time.sleep(size / self.bytes_per_second)
        with self._lock:
            left = self.drop_after_bytes
            if left is None or size < left:
                self.passed_bytes += size
                self.drop_after_bytes = None if left is None else left - size
                return
            self.passed_bytes += left
            self.drop_after_bytes = None
        self.broke()
        raise CableBrokeError(left)
