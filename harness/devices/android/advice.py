"""What to do about each trouble with a phone: one action each."""

from __future__ import annotations

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
    PhoneTrouble.GONE: "check the cable, then run again with --resume",
    PhoneTrouble.BOOTING: "wait until the phone shows its home screen, then run again",
    PhoneTrouble.LOCKED: "unlock the phone, and disable its screen lock while it is measured",
    PhoneTrouble.TOO_OLD: "use a phone with Android 8 or newer",
    PhoneTrouble.FULL: "free some space on the phone",
    PhoneTrouble.APP: "build the runner apps with phonebench runner build android, then run again",
    PhoneTrouble.BUSY: "wait until it has finished, or use another phone",
    PhoneTrouble.REFUSED: "run phonebench doctor --device android, which tries each step separately",
}


def phone_error(
    trouble: PhoneTrouble, what: str, *, serial: str = "", command: str = "", output: str = ""
) -> PhoneError:
    """Return an error that says ``what`` happened and what to do about it.

    Output short enough to read is part of the message; all of it is kept as evidence.
    """
    evidence = f" ({output.strip()})" if output.strip() and len(output) < 400 else ""
    message = f"{what}{evidence}; {ADVICE[trouble]}"
    return PhoneError(message, trouble=trouble, serial=serial, command=command, output=output)


def named(serial: str) -> str:
    """Return how messages refer to a phone."""
    return f"phone {serial!r}"
