"""The hold on a phone during a session: a step that a lost phone cut short is done again when it is back.

The one decision: every step is made so that it can be done again, the launch included, whose app goes on by itself. So
a phone that flaps costs nothing, and one that stays away costs the cell in flight.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app_ids import APP_IDS, ApkSource, no_apks
from harness.devices.android.facts import PhoneFacts
from harness.devices.android.hold.comeback import LOSSES, come_back
from harness.devices.android.hold.upkeep import keep_ready
from harness.devices.android.orphans import stop_orphans
from harness.errors import PhoneError, PhoneTrouble
from harness.spec.phone_settings import AS_IT_IS, PhoneSettings

# A loose plug may cut one step short several times; a phone that hangs at it each time is not asked for ever.
_RETURNS = 3

_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOptions:
    """How a phone is driven: where APKs come from, and how long a phone that went away is waited for, in seconds."""

    apks: ApkSource = no_apks
    back_s: float = 30.0
    boot_s: float = 180.0
    settings: PhoneSettings = AS_IT_IS


class Tether:
    """A phone that is held. ``facts`` are those since it came back last, ``closing`` is set when it is let go.

    ``last_loss`` is why it was away last, None when it never was.
    """

    def __init__(self, cable: Cable, facts: PhoneFacts, options: PhoneOptions) -> None:
        self.cable, self.facts, self.options = cable, facts, options
        self.closing = threading.Event()
        self.last_loss: PhoneError | None = None
        self._forgets: list[Callable[[], None]] = []

    def on_return(self, forget: Callable[[], None]) -> None:
        """Call ``forget`` when the phone was away: what happened to it meanwhile is not known."""
        self._forgets.append(forget)

    def again(self, work: Callable[[], _Result], *, keep: str = "") -> _Result:
        """Do ``work``, and again after a phone that went away came back; ``keep``: the app or shell job that may go on.

        Raises `PhoneError`, that of the loss when the phone does not come back, or goes away over and over.
        """
        for _ in range(_RETURNS):
            self.check_open()
            try:
                return work()
            except PhoneError as error:
                if error.trouble not in LOSSES or self.closing.is_set():
                    raise
                self._come_back(error, keep)
        return work()

    def check_open(self) -> None:
        """Raise `PhoneError` when the phone was let go."""
        if self.closing.is_set():
            raise phone_error(PhoneTrouble.BUSY, f"{named(self.cable.serial)} was closed", serial=self.cable.serial)

    def _come_back(self, cause: PhoneError, keep: str) -> None:
        options = self.options
        self.last_loss = cause
        log.warning("%s; waiting up to %g s for it", cause, options.back_s)
        self.facts = come_back(self.cable, cause, back_s=options.back_s, boot_s=options.boot_s)
        for forget in self._forgets:
            forget()
        # A launch that nobody waits for any more would run beside the next one.
        stop_orphans(self.cable, APP_IDS, keep=keep)
        keep_ready(self.cable, options.settings.clocks)
