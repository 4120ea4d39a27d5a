"""Keeps the screen on while a phone is measured, and puts everything back as it was, also after a crash.

The one decision: how to put things back is written onto the phone itself, before anything is changed. Whoever opens the
phone next, on this computer or another, runs what an earlier session could not.
"""

from __future__ import annotations

from enum import StrEnum

from harness.devices.android.advice import named, phone_error
from harness.devices.android.cable import Cable
from harness.devices.android.phone_store import FOLDER
from harness.devices.android.texts import parse_window
from harness.errors import PhoneTrouble

RESTORE_FILE = f"{FOLDER}/restore.sh"
_STAY = "global stay_on_while_plugged_in"
_WAKE = "input keyevent 224; wm dismiss-keyguard"


class Clocks(StrEnum):
    """How the phone sets its clocks: as it does for everybody, or bounded to what it can hold for long."""

    DEFAULT = "default"
    FIXED = "fixed"


_RESTORE = f"[ ! -f {RESTORE_FILE} ] || {{ sh {RESTORE_FILE}; rm -f {RESTORE_FILE}; }}"
_KEEP = f"""{_RESTORE}
old=$(settings get {_STAY})
case "$old" in
  ''|null) put='settings delete {_STAY}';;
  *) put="settings put {_STAY} $old";;
esac
echo "$put" > {RESTORE_FILE}.tmp && mv {RESTORE_FILE}.tmp {RESTORE_FILE} || exit 1
svc power stayon true
{_WAKE}
"""
_FIX = (
    f"echo 'cmd power set-fixed-performance-mode-enabled false' >> {RESTORE_FILE}"
    " && cmd power set-fixed-performance-mode-enabled true"
)


def keep_ready(cable: Cable, clocks: Clocks = Clocks.DEFAULT) -> None:
    """Put back what an earlier session left, keep the screen on from now on, and wake it. Raises `PhoneError`."""
    done = cable.run(_KEEP)
    if done.exit_code == 1:
        what = f"{named(cable.serial)} does not take a file into {FOLDER!r}"
        raise phone_error(PhoneTrouble.FULL, what, serial=cable.serial, command=_KEEP, output=done.complaint)
    if clocks is Clocks.FIXED:
        cable.check(_FIX)


def put_back(cable: Cable) -> None:
    """Put everything back as it was before `keep_ready`. Raises `PhoneError`."""
    cable.run(_RESTORE)


def check_unlocked(cable: Cable) -> None:
    """Raise `PhoneError` when the lock screen is shown and cannot be sent away: an app behind it is not in front."""
    text = cable.run(f"{_WAKE}; dumpsys window").text
    if parse_window(text).locked:
        raise phone_error(PhoneTrouble.LOCKED, f"{named(cable.serial)} is locked", serial=cable.serial)
