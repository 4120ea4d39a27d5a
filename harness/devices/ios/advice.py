"""What to do about each trouble with an iPhone: one action each."""

from __future__ import annotations

from harness.errors import IosError, IosTrouble

_SETTINGS_VPN = "Settings > General > VPN & Device Management"
# Not every command takes an IPA, and this one works for all of them.
_INSTALL = "phonebench runner install ios --ipa FILE (docs/ios.md says how to make one)"

ADVICE: dict[IosTrouble, str] = {
    IosTrouble.NO_DRIVER: "run: phonebench runner install ios --runtime driver (once per computer; it needs a network)",
    IosTrouble.NO_USBMUXD: "install and start it (Debian: sudo apt install usbmuxd; macOS has it)",
    IosTrouble.NO_PHONE: "connect an iPhone by cable, and unlock it",
    IosTrouble.SEVERAL: "name one with --device ios:UDID, or run on all with --device ios:all",
    IosTrouble.GONE: "check the cable, and plug it in again",
    IosTrouble.HUNG: "unplug the cable and plug it in again; if that does not help, restart the iPhone",
    IosTrouble.NOT_TRUSTED: "unlock it, tap Trust in the dialog on its screen and enter its passcode, then run again",
    IosTrouble.TRUST_REFUSED: "unplug the cable, plug it in again, and tap Trust this time",
    IosTrouble.LOCKED: "unlock it, and set Settings > Display & Brightness > Auto-Lock to Never while it is measured",
    IosTrouble.DEVELOPER_MODE: (
        "switch it on in Settings > Privacy & Security > Developer Mode, and let the iPhone restart; where the entry "
        "is missing, phonebench doctor --device ios shows it"
    ),
    IosTrouble.NO_IMAGE: (
        "unlock the iPhone and connect this computer to the internet; a run then mounts it, and so does "
        "phonebench doctor --device ios"
    ),
    IosTrouble.TUNNEL: (
        "iOS 17.0 to 17.3 need a tunnel that only root can make: start sudo DRIVER -m pymobiledevice3 remote tunneld "
        "in another terminal and run again, or update the iPhone to iOS 17.4 or later"
    ),
    IosTrouble.PROFILE: f"sign the app again with a profile that fits, then install it: {_INSTALL}",
    IosTrouble.NOT_TRUSTED_DEVELOPER: f"trust the app's developer on the iPhone: {_SETTINGS_VPN}",
    IosTrouble.APP: f"install one: {_INSTALL}",
    IosTrouble.TOO_OLD: "update the iPhone, or use another one",
    IosTrouble.FULL: "free some space on the iPhone",
    IosTrouble.BUSY: "wait until it has finished, or use another iPhone",
    IosTrouble.STUCK: "restart the iPhone: after many apps that a computer left open, it starts no more",
    IosTrouble.KEYSTORE: "measure on another iPhone, or without --encrypt if the model may lie in the clear there",
    IosTrouble.REFUSED: "run phonebench doctor --device ios, which tries each step separately",
}


def ios_error(
    trouble: IosTrouble, what: str, *, udid: str = "", command: str = "", output: str = "", advice: str = ""
) -> IosError:
    """Return an error that says ``what`` happened and what to do about it; ``advice`` replaces the usual one.

    Output short enough to read is part of the message; all of it is kept as evidence.
    """
    text = output.strip()
    what = f"{what} ({text})" if text and len(text) < 300 and text not in what else what
    error = IosError(f"{what}; {advice or advice_for(trouble)}", trouble=trouble, udid=udid, command=command)
    error.output, error.what = output, what
    return error


def advice_for(trouble: IosTrouble) -> str:
    """Return what to do about a trouble."""
    if trouble is not IosTrouble.TUNNEL:
        return ADVICE[trouble]
    from harness.devices.ios.environment import default_folder

    return ADVICE[trouble].replace("DRIVER", str(default_folder() / "bin" / "python"))


def named(udid: str) -> str:
    """Return how messages refer to an iPhone."""
    return f"iPhone {udid!r}"
