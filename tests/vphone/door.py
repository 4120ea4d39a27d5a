"""The dialog "Allow USB debugging?": which computers are allowed, and which wait for an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.vphone.keys import PublicKey


class Door:
    """Holds the allowed keys. While ``allowed`` is false, new keys wait until somebody accepts them."""

    def __init__(self, *, allowed: bool) -> None:
        self._lock = threading.Lock()
        self._allowed = allowed
        self._keys: set[PublicKey] = set()
        self._waiting: list[tuple[PublicKey, Callable[[], None]]] = []

    @property
    def allowed(self) -> bool:
        """Whether an unknown computer is allowed without a dialog."""
        return self._allowed

    @property
    def waiting(self) -> tuple[PublicKey, ...]:
        """The keys whose computers wait for an answer now."""
        with self._lock:
            return tuple(key for key, _ in self._waiting)

    def knows(self, token: bytes, signature: bytes) -> bool:
        """Whether an allowed computer made this signature."""
        with self._lock:
            keys = tuple(self._keys)
        return any(key.signed(token, signature) for key in keys)

    def ask(self, key: PublicKey, welcome: Callable[[], None]) -> None:
        """A computer shows its key; ``welcome`` is called when it is allowed, now or later."""
        with self._lock:
            if not self._allowed:
                self._waiting.append((key, welcome))
                return
            self._keys.add(key)
        welcome()

    def allow(self) -> None:
        """Press "Always allow from this computer" for all that wait now or come later."""
        with self._lock:
            self._allowed = True
            waiting, self._waiting = self._waiting, []
            self._keys.update(key for key, _ in waiting)
        for _, welcome in waiting:
            welcome()

    def allow_no_more(self) -> None:
        """Ask again about every computer that is not allowed yet."""
        with self._lock:
            self._allowed = False

    def revoke(self) -> None:
        """Forget every computer and allow none, as "Revoke USB debugging authorisations" does."""
        with self._lock:
            self._allowed = False
            self._keys.clear()
            self._waiting.clear()
