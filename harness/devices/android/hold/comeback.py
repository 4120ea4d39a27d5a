"""Waits for a phone that went away: unplugged, restarted, hung, or lost because another program stopped adb."""

from __future__ import annotations

import logging
import time

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.network import PATIENCE_S, connect, disconnect
from harness.devices.android.adb.serials import is_network
from harness.devices.android.adb.server import ensure_server, list_phones, reconnect
from harness.devices.android.advice import named, phone_error
from harness.devices.android.facts import PhoneFacts, read_facts
from harness.errors import PhoneError, PhoneTrouble

# Troubles that may pass: by themselves, by plugging the cable in again, or by restarting the adb server.
LOSSES = frozenset(
    {PhoneTrouble.GONE, PhoneTrouble.OFFLINE, PhoneTrouble.HUNG, PhoneTrouble.NO_SERVER, PhoneTrouble.BOOTING}
)
PROBE_S = 10.0
_PAUSE_S = 0.1
# While a phone checks this computer's key again, servers list it as "authorizing", server 29 even as "unauthorized".
_AUTHORISING_S = 5.0

log = logging.getLogger(__name__)


def come_back(cable: Cable, cause: PhoneError, *, back_s: float, boot_s: float) -> PhoneFacts:
    """Wait until the phone takes commands again and has booted, and return its facts.

    Their ``boot_id`` shows whether it restarted. Raises ``cause`` if the phone is not back within ``back_s``, and
    `PhoneError` if it does not boot within ``boot_s`` or no longer allows this computer to debug it.
    """
    if cause.trouble is PhoneTrouble.HUNG:
        _quietly_reconnect(cable)
    ends_at = time.monotonic() + back_s
    refusals = _Refusals()
    while True:
        try:
            _check_listed(cable, ends_at - back_s)
            # The server may list a phone as ready whose daemon no longer answers.
            cable.run("echo here", seconds=PROBE_S)
            return _booted(cable, boot_s)
        except PhoneError as error:
            now = time.monotonic()
            if not refusals.may_pass(error, now):
                # Another trouble, such as a revoked authorisation, will not pass by waiting.
                if error.trouble not in LOSSES:
                    raise
                # The first loss explains what happened; the last one only says that the phone is still away.
                if now >= ends_at:
                    raise (refusals.last or cause) from error
        time.sleep(_PAUSE_S)


class _Refusals:
    """The times at which a phone did not allow this computer to debug it. ``last`` is the newest error."""

    def __init__(self) -> None:
        self.last: PhoneError | None = None
        self._since: float | None = None

    def may_pass(self, error: PhoneError, now: float) -> bool:
        """Return whether ``error`` is a refusal, and the phone has refused for less than `_AUTHORISING_S` on end."""
        if error.trouble is not PhoneTrouble.UNAUTHORISED:
            self._since = None
            return False
        self.last = error
        self._since = now if self._since is None else self._since
        return now < self._since + _AUTHORISING_S


def _check_listed(cable: Cable, since: float) -> None:
    """Raise `PhoneError` unless the server lists the phone as ready. Reconnect a phone that uses the network."""
    ensure_server(cable.server)
    listed = next((phone for phone in list_phones(cable.server) if phone.serial == cable.serial), None)
    if listed is not None and listed.trouble is None:
        return
    network = is_network(cable.serial)
    if network and listed is None:
        connect(cable.server, cable.serial)
    elif network and time.monotonic() - since > PATIENCE_S:
        disconnect(cable.server, cable.serial)
    trouble = PhoneTrouble.GONE if listed is None or listed.trouble is None else listed.trouble
    raise phone_error(trouble, f"{named(cable.serial)} is not back yet", serial=cable.serial)


def _booted(cable: Cable, boot_s: float) -> PhoneFacts:
    """Wait until Android has booted: first the property, then the package manager, which is ready later."""
    ends_at = time.monotonic() + boot_s
    while True:
        facts = read_facts(cable)
        if facts.booted and not cable.run("pm path android").exit_code:
            return facts
        if time.monotonic() >= ends_at:
            what = f"{named(cable.serial)} did not finish starting within {boot_s:g} s"
            raise phone_error(PhoneTrouble.BOOTING, what, serial=cable.serial)
        time.sleep(0.5)


def _quietly_reconnect(cable: Cable) -> None:
    try:
        reconnect(cable.server, cable.serial)
    except PhoneError as error:
        log.info("the server could not reconnect to %s: %s", cable.serial, error)
