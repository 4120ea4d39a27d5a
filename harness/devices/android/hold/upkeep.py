"""Keeps the screen on while a phone is measured, and puts everything back as it was, also after a crash.

The one decision: how to put things back is written onto the phone itself, before anything is changed. Whoever opens the
phone next, on this computer or another, runs what an earlier session could not.
"""

from __future__ import annotations

from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.android.phone_store import FOLDER
from harness.devices.android.texts import parse_power, parse_window
from harness.errors import PhoneTrouble
from harness.spec.phone_settings import Clocks

RESTORE_FILE = f"{FOLDER}/restore.sh"
_STAY = "global stay_on_while_plugged_in"
_LOOK = "dumpsys window; dumpsys power | grep mWakefulness="
_WAKE = "input keyevent 224; wm dismiss-keyguard"


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
_MODE = "cmd power set-fixed-performance-mode-enabled"
_FIX = f"echo '{_MODE} false' >> {RESTORE_FILE} && {_MODE} true"


def keep_ready(cable: Cable, clocks: Clocks = Clocks.DEFAULT) -> None:
    """Put back what an earlier session left, keep the screen on from now on, and wake it. Raises `PhoneError`."""
    done = cable.run(_KEEP)
    if done.exit_code == 1:
        what = f"{named(cable.serial)} does not take a file into {FOLDER!r}"
        raise phone_error(PhoneTrouble.FULL, what, serial=cable.serial, command=_KEEP, output=done.complaint)
    if clocks is Clocks.FIXED:
        _fix_clocks(cable)


def _fix_clocks(cable: Cable) -> None:
    done = cable.run(_FIX)
    said = f"{done.text} {done.complaint}".strip()
    # `cmd` prints what it does not know, and exits as if nothing were wrong on some versions.
    if done.exit_code or "nknown command" in said or "not support" in said.lower():
        what = f"{named(cable.serial)} has no mode with fixed clocks (Android 11 and later have it): leave out --clocks"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial, command=_FIX, output=said)


def put_back(cable: Cable) -> None:
    """Put everything back as it was before `keep_ready`. Raises `PhoneError`."""
    cable.run(_RESTORE)


def check_unlocked(cable: Cable) -> None:
    """Wake the screen where it is off, and send the lock screen away where it is shown.

    Raises `PhoneError` when it stays: an app behind it is not in front. `input` is a Java program that takes half a
    second to start, so it is called only when it is needed.
    """
    if _is_in_use(cable.run(_LOOK).text):
        return
    if not _is_in_use(cable.run(f"{_WAKE}; {_LOOK}").text):
        raise phone_error(PhoneTrouble.LOCKED, f"{named(cable.serial)} is locked", serial=cable.serial)


def _is_in_use(text: str) -> bool:
    return not parse_window(text).locked and parse_power(text).screen != "off"
