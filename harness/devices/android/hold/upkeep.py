"""Keeps the screen on while a phone is measured, and restores its settings afterwards, even after a crash.

Before anything is changed, a script that restores it is written to the phone. If a session cannot run it, the next one
does, on this computer or another.
"""

from __future__ import annotations

from harness.devices.android.adb.cable import Cable, ShellResult, refusal_of
from harness.devices.android.advice import named, phone_error
from harness.devices.android.phone_store import FOLDER
from harness.devices.android.texts import parse_power, parse_window
from harness.errors import PhoneTrouble
from harness.spec.phone_settings import Clocks

RESTORE_FILE = f"{FOLDER}/restore.sh"
_STAY = "global stay_on_while_plugged_in"
_LOOK = "dumpsys window; dumpsys power | grep mWakefulness="
# 224 is KEYCODE_WAKEUP, which unlike the power key never turns the screen off.
_WAKE = "input keyevent 224; wm dismiss-keyguard"

_RESTORE = f"[ ! -f {RESTORE_FILE} ] || {{ sh {RESTORE_FILE}; rm -f {RESTORE_FILE}; }}"
# Printed if the file cannot be written. The exit code would be that of any later command, and several makers' `wm` and
# `svc` exit with 1 although they did their work.
_UNSTORED = "@@unstored"
# The old value is saved before `svc` changes it, and the rename makes the file complete or absent. A setting that was
# never set reads as "null"; it must be deleted again, because putting "null" back would store that word.
_KEEP = f"""{_RESTORE}
old=$(settings get {_STAY})
case "$old" in
  ''|null) put='settings delete {_STAY}';;
  *) put="settings put {_STAY} $old";;
esac
echo "$put" > {RESTORE_FILE}.tmp && mv {RESTORE_FILE}.tmp {RESTORE_FILE} || {{ echo {_UNSTORED}; exit; }}
svc power stayon true
{_WAKE}
"""
_MODE = "cmd power set-fixed-performance-mode-enabled"
# Appended to the same script, and before the mode is changed, for the same reason.
_FIX = f"echo '{_MODE} false' >> {RESTORE_FILE} || {{ echo {_UNSTORED}; exit; }}; {_MODE} true"


def keep_ready(cable: Cable, clocks: Clocks = Clocks.DEFAULT) -> None:
    """Restore what an earlier session left changed, then keep the screen on and wake it. Raises `PhoneError`."""
    _check_stored(cable, cable.run(_KEEP), _KEEP)
    if clocks is Clocks.FIXED:
        _fix_clocks(cable)


def _fix_clocks(cable: Cable) -> None:
    result = cable.run(_FIX)
    _check_stored(cable, result, _FIX)
    output = f"{result.text} {result.complaint}".strip()
    # On some versions `cmd` prints that it does not know a command and still exits with 0.
    if result.exit_code or "nknown command" in output or "not support" in output.lower():
        what = f"{named(cable.serial)} has no mode with fixed clocks (it needs Android 11 or later): omit --clocks"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial, command=_FIX, output=output)


def _check_stored(cable: Cable, result: ShellResult, command: str) -> None:
    """Raise `PhoneError` if the script for restoring could not be written; only lack of space is blamed on space."""
    if _UNSTORED not in result.text:
        return
    what = f"{named(cable.serial)} cannot store a file in {FOLDER!r}"
    trouble = refusal_of(result.complaint)
    raise phone_error(trouble, what, serial=cable.serial, command=command, output=result.complaint)


def put_back(cable: Cable) -> None:
    """Restore everything that `keep_ready` changed. Raises `PhoneError`."""
    cable.run(_RESTORE)


def check_unlocked(cable: Cable) -> None:
    """Turn the screen on and dismiss the lock screen, where necessary.

    Raises `PhoneError` if the phone stays locked: an app behind the lock screen is not in the foreground. `input` is a
    Java program that takes half a second to start, so it is only called when needed.
    """
    if _is_in_use(cable.run(_LOOK).text):
        return
    if not _is_in_use(cable.run(f"{_WAKE}; {_LOOK}").text):
        raise phone_error(PhoneTrouble.LOCKED, f"{named(cable.serial)} is locked", serial=cable.serial)


def _is_in_use(text: str) -> bool:
    return not parse_window(text).locked and parse_power(text).screen != "off"
