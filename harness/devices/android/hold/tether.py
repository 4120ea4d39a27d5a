"""Holds a phone during a session: a step that was cut short by a lost phone is repeated once the phone is back.

Every step can be repeated. That includes a launch, because its app keeps running without a connection. A loose cable
therefore costs nothing, and a phone that stays away costs the cell in flight.
"""

from __future__ import annotations

import logging
import re
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
from harness.spec.phone_settings import DEFAULT_SETTINGS, PhoneSettings

# A loose plug may interrupt one step several times, but a phone that hangs every time is given up.
_RETURNS = 3

_TOOLS = re.compile(r"(?:am|cmd|content|dumpsys|log|logcat|pm|run-as|settings)\b(?: \w+)?")

_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOptions:
    """Where APKs come from, how long to wait for a lost phone and for its boot, in seconds, and the settings."""

    apks: ApkSource = no_apks
    back_s: float = 30.0
    boot_s: float = 180.0
    settings: PhoneSettings = DEFAULT_SETTINGS


def _hung_tool(error: PhoneError) -> str:
    """Return the command that asks a service of the phone and hung, without its arguments; empty for anything else.

    The wait for an app is such a thing: if that is silent, it is the phone that hangs.
    """
    tool = _TOOLS.match(error.command) if error.trouble is PhoneTrouble.HUNG else None
    return tool[0] if tool else ""


class Tether:
    """A phone that is held. ``facts`` are as of its last return; ``closing`` is set when it is released.

    ``last_loss`` is why it was last away, None if it never was.
    """

    def __init__(self, cable: Cable, facts: PhoneFacts, options: PhoneOptions) -> None:
        self.cable, self.facts, self.options = cable, facts, options
        self.closing = threading.Event()
        self.last_loss: PhoneError | None = None
        self._forgets: list[Callable[[], None]] = []

    def on_return(self, forget: Callable[[], None]) -> None:
        """Call ``forget`` whenever the phone has been away, since anything may have happened to it meanwhile."""
        self._forgets.append(forget)

    def again(self, work: Callable[[], _Result], *, keep: str = "") -> _Result:
        """Do ``work``, and repeat it whenever the phone went away and came back.

        ``keep`` is the app or shell job that may keep running. Raises the `PhoneError` of the loss if the phone does
        not come back, or goes away over and over; and one of its own for a command that hangs on a phone that answers.
        """
        stuck = ""
        for _ in range(_RETURNS):
            self.check_open()
            try:
                return work()
            except PhoneError as error:
                # A phone that is being closed is not waited for.
                if error.trouble not in LOSSES or self.closing.is_set():
                    raise
                self._come_back(error, keep)
                # Back at once, and the same command hangs again: the phone is there, and its cable is not to blame.
                tool = _hung_tool(error)
                if tool and tool == stuck:
                    raise self._stuck(error) from error
                stuck = tool
        # The last try: its error is final.
        return work()

    def check_open(self) -> None:
        """Raise `PhoneError` if the phone has been released."""
        if self.closing.is_set():
            raise phone_error(PhoneTrouble.BUSY, f"{named(self.cable.serial)} was closed", serial=self.cable.serial)

    def _stuck(self, error: PhoneError) -> PhoneError:
        what = f"{named(self.cable.serial)} answers, but twice it did not finish {_hung_tool(error)!r}"
        return phone_error(PhoneTrouble.REFUSED, what, serial=self.cable.serial, command=error.command)

    def _come_back(self, cause: PhoneError, keep: str) -> None:
        """Wait for the phone and make it ready; a loose plug may interrupt that too."""
        for _ in range(_RETURNS):
            self._wait_for_return(cause)
            try:
                self._make_ready(keep)
            except PhoneError as error:
                if error.trouble not in LOSSES or self.closing.is_set():
                    raise
                cause = error
            else:
                return
        raise cause

    def _wait_for_return(self, cause: PhoneError) -> None:
        options = self.options
        self.last_loss = cause
        # What to do about it is said when the waiting was in vain.
        log.warning("%s; waiting up to %g s for it to come back", cause.what, options.back_s)
        self.facts = come_back(self.cable, cause, back_s=options.back_s, boot_s=options.boot_s)

    def _make_ready(self, keep: str) -> None:
        for forget in self._forgets:
            forget()
        # An abandoned launch would run at the same time as the next one.
        stop_orphans(self.cable, APP_IDS, keep=keep)
        keep_ready(self.cable, self.options.settings.clocks)
