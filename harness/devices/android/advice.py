"""What to do about each trouble with a phone: one action each."""

from __future__ import annotations

from harness.devices.android.adb.serials import is_network
from harness.errors import PhoneError, PhoneTrouble

ADVICE: dict[PhoneTrouble, str] = {
    PhoneTrouble.NO_ADB: "run: pip install 'phonebench[android]', which includes adb, or install your system's adb",
    PhoneTrouble.NO_SERVER: "start one with adb start-server, or set PHONEBENCH_ADB_PORT to the port of a running one",
    PhoneTrouble.NO_PHONE: "connect a phone by cable, and enable USB debugging in its developer options",
    PhoneTrouble.SEVERAL: "name one with --device android:SERIAL, or run on all with --device android:all",
    PhoneTrouble.OFFLINE: "unplug the cable and plug it in again; if that does not help, restart the phone",
    PhoneTrouble.UNAUTHORISED: "unlock the phone and allow USB debugging in the dialog on its screen",
    PhoneTrouble.NO_RIGHTS: "give your user access to the USB device (Linux: a udev rule), then plug it in again",
    PhoneTrouble.WRONG_MODE: "restart the phone into Android: it is in its boot loader or in recovery",
    PhoneTrouble.HUNG: "unplug the cable and plug it in again; if that does not help, restart the phone",
    PhoneTrouble.GONE: "check the cable, and plug it in again",
    PhoneTrouble.BOOTING: "wait until the phone shows its home screen, then run again",
    PhoneTrouble.RESTARTED: "if it restarts again, measure that model on another phone, or with another delegate",
    PhoneTrouble.LOCKED: "unlock the phone, and disable its screen lock while it is measured",
    PhoneTrouble.TOO_OLD: "use a phone with Android 8 or newer",
    PhoneTrouble.FULL: "free some space on the phone",
    PhoneTrouble.APP: "build the runner apps with phonebench runner build android, then run again",
    PhoneTrouble.BUSY: "wait until it has finished, or use another phone",
    PhoneTrouble.KEYSTORE: "measure on another phone, or without --encrypt if the model may lie in the clear there",
    PhoneTrouble.REFUSED: "run phonebench doctor --device android, which tries each step separately",
}

# What differs for a phone without a cable; ADDRESS is its serial.
_NETWORK_ADVICE: dict[PhoneTrouble, str] = {
    PhoneTrouble.OFFLINE: "run: adb disconnect ADDRESS; adb connect ADDRESS; if that does not help, restart the phone",
    PhoneTrouble.HUNG: "run: adb disconnect ADDRESS; adb connect ADDRESS; if that does not help, restart the phone",
    PhoneTrouble.GONE: "check that it is on and in this network, then run: adb connect ADDRESS",
}


def advice_for(trouble: PhoneTrouble, serial: str = "") -> str:
    """Return what to do about a trouble of the phone with this serial."""
    if is_network(serial) and trouble in _NETWORK_ADVICE:
        return _NETWORK_ADVICE[trouble].replace("ADDRESS", serial)
    return ADVICE[trouble]


def phone_error(
    trouble: PhoneTrouble, what: str, *, serial: str = "", command: str = "", output: str = ""
) -> PhoneError:
    """Return an error that says ``what`` happened and what to do about it.

    Output short enough to read is part of the message; all of it is kept as evidence.
    """
    evidence = f" ({output.strip()})" if output.strip() and len(output) < 400 else ""
    message = f"{what}{evidence}; {advice_for(trouble, serial)}"
    error = PhoneError(message, trouble=trouble, serial=serial, command=command, output=output)
    error.what = f"{what}{evidence}"
    return error


def restarted(serial: str) -> PhoneError:
    """Return the error for a phone that restarted during a launch, which says nothing about the model."""
    what = f"{named(serial)} restarted during the launch"
    return phone_error(PhoneTrouble.RESTARTED, what, serial=serial)


def named(serial: str) -> str:
    """Return how messages refer to a phone."""
    return f"phone {serial!r}"
