"""What the errors of pymobiledevice3 mean: one word for each trouble, which `harness.errors.IosTrouble` has too."""

from __future__ import annotations

import asyncio
import re

from pymobiledevice3 import exceptions
from pymobiledevice3.dtx.exceptions import DTXNsError
from pymobiledevice3.dtx.ns_types import NSError

# The first match counts, so classes stand before those that they are derived from.
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((exceptions.ConnectionFailedToUsbmuxdError,), "no-usbmuxd"),
    ((exceptions.NoDeviceConnectedError, exceptions.DeviceNotFoundError, exceptions.BadDevError), "gone"),
    ((exceptions.UserDeniedPairingError,), "trust-refused"),
    ((exceptions.PasswordRequiredError, exceptions.PasscodeRequiredError), "locked"),
    (
        (exceptions.PairingError, exceptions.NotPairedError, exceptions.NotTrustedError, exceptions.FatalPairingError),
        "not-trusted",
    ),
    ((exceptions.DeveloperModeIsNotEnabledError,), "developer-mode"),
    ((exceptions.DeveloperDiskImageNotFoundError, exceptions.NotMountedError, exceptions.TSSError), "no-image"),
    ((exceptions.NotEnoughDiskSpaceError,), "full"),
    (
        (
            exceptions.RSDRequiredError,
            exceptions.TunneldConnectionError,
            exceptions.OSNotSupportedError,
        ),
        "tunnel",
    ),
    ((exceptions.AppInstallError, exceptions.AppNotInstalledError), "app"),
    (
        (
            exceptions.ConnectionTerminatedError,
            exceptions.MuxException,
            exceptions.InvalidConnectionError,
            exceptions.ChannelClosedError,
            ConnectionError,
            asyncio.IncompleteReadError,
        ),
        "gone",
    ),
    ((TimeoutError,), "hung"),
)

# What a refusal says, in the words of installd, SpringBoard and the kernel. The first match counts.
_BY_WORDS: tuple[tuple[str, str], ...] = (
    (r"could not be, unlocked|DeviceLocked|reason: Locked|device was locked|BSErrorCodeDescription\W+Locked", "locked"),
    (r"profile has not been explicitly trusted|not been trusted by the user|0xe8008018", "not-trusted-developer"),
    (r"0xe800801[0-9a-c]|ApplicationVerificationFailed|invalid code signature|provisioning profile", "profile"),
    (r"DeviceOSVersionTooLow|requires a (?:newer|later) version of iOS", "too-old"),
    (r"NotEnoughSpace|No space left|NO_SPACE_LEFT|InsufficientStorage", "full"),
    # SpringBoard has no words for it.
    (r"FBSOpenApplicationErrorDomain 1: ", "stuck"),
    (r"Developer Mode|DeveloperModeDisabled", "developer-mode"),
)


def explain(error: BaseException) -> tuple[str, str]:
    """Return the trouble behind an error, and its evidence in a line."""
    text = _text(error)
    for pattern, trouble in _BY_WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return trouble, text
    for classes, trouble in _BY_CLASS:
        if isinstance(error, classes):
            return trouble, text
    # OpenSSL's errors and a refused connection are how a pulled cable looks inside TLS.
    if isinstance(error, OSError) and not isinstance(error, exceptions.AfcException):
        return "gone", text
    return "refused", text


def _text(error: BaseException) -> str:
    if isinstance(error, DTXNsError):
        return _ns_text(error.error)[:1000]
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {' '.join(lines)[:1000]}" if lines else name


def _ns_text(error: NSError) -> str:
    """An error of the phone's with those that led to it: domain and number first, because their words differ."""
    info = error.user_info or {}
    words = [str(info[key]) for key in ("NSLocalizedDescription", "NSLocalizedFailureReason") if info.get(key)]
    below = info.get("NSUnderlyingError")
    led_by = f"; {_ns_text(below)}" if isinstance(below, NSError) else ""
    return " ".join(f"{error.domain} {error.code}: {' '.join(words)}{led_by}".split())
