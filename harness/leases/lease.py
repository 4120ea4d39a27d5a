"""What a farm lends, and what every kind of farm can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# A phone that nobody uses for so long goes back to the farm, even if this program has died. Commands over adb count as
# use, so only a long build, or an idle gap of the plan, can exceed it.
IDLE_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPhone:
    """A phone of a farm. ``taken`` says why it cannot be lent now, empty if it can."""

    serial: str
    model: str = ""
    system: str = ""
    taken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A phone that is lent to us: adb connects to ``address``, which is ``HOST:PORT``."""

    serial: str
    address: str


class LeaseFarm(Protocol):
    """A farm that lends phones. Each method raises `LeaseError` with a sentence."""

    def list(self) -> tuple[OfferedPhone, ...]:
        """Return the phones that this user may see."""

    def acquire(self, serial: str, idle_s: float) -> Lease:
        """Borrow a phone, for as long as it is not idle for ``idle_s``. Borrowing it again renews the lease."""

    def holds(self, serial: str) -> bool:
        """Return whether the phone is still lent to us."""

    def release(self, serial: str) -> None:
        """Give a phone back. One that is no longer ours is no error."""
