"""What an iPhone is, from what lockdown says about it, and whether it can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.devices.ios.advice import ios_error, named
from harness.errors import IosError, IosTrouble
from harness.records.device import DeviceInfo
from harness.system.text import whole_number

# The runner app is built for this iOS and later (ios_runner/project.yml).
MIN_IOS = (15, 1)
# What lockdown calls the devices that run iOS and iPadOS. usbmuxd lists Apple TVs and watches too.
_CLASSES = ("iPhone", "iPad", "iPod")
TUNNELLED, ROOTLESS = (17, 0), (17, 4)

# Apple's chips by the code of their platform, as HardwarePlatform or the board says it.
_CHIPS = {
    "s8000": "Apple A9",
    "s8003": "Apple A9",
    "t8010": "Apple A10",
    "t8011": "Apple A10X",
    "t8015": "Apple A11",
    "t8020": "Apple A12",
    "t8027": "Apple A12X",
    "t8030": "Apple A13",
    "t8101": "Apple A14",
    "t8103": "Apple M1",
    "t8110": "Apple A15",
    "t8112": "Apple M2",
    "t8120": "Apple A16",
    "t8122": "Apple M3",
    "t8130": "Apple A17 Pro",
    "t8132": "Apple M4",
    "t8140": "Apple A18",
    "t8150": "Apple A19",
}

Facts = Mapping[str, Any]


def version_of(facts: Facts) -> str:
    """Return the version of iOS, such as ``17.5.1``."""
    return str(facts.get("ProductVersion") or "0")


def numbers_of(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version."""
    parts = [whole_number(part) or 0 for part in version.split(".")]
    return (parts[0], parts[1] if len(parts) > 1 else 0)


def info_of(key: str, facts: Facts, more: Mapping[str, str] | None = None) -> DeviceInfo:
    """Return the facts in the form that all device kinds share."""
    name = "iPadOS" if facts.get("DeviceClass") == "iPad" else "iOS"
    return DeviceInfo(
        key=key,
        kind="ios",
        model=str(facts.get("model") or facts.get("ProductType") or "iPhone"),
        os=f"{name} {version_of(facts)}",
        cpu=_chip(facts),
        cores=None,
        memory_bytes=None,
        abi=str(facts.get("CPUArchitecture") or "unknown"),
        details={
            "serial": str(facts.get("UniqueDeviceID") or ""),
            "product": str(facts.get("ProductType") or ""),
            "build": str(facts.get("BuildVersion") or ""),
            **(more or {}),
        },
    )


def check_facts(udid: str, facts: Facts) -> None:
    """Raise `IosError` if an iPhone with these facts cannot be measured."""
    kind = facts.get("DeviceClass") or _CLASSES[0]
    if kind not in _CLASSES:
        what = f"{udid!r} is of the class {kind!r}, and phonebench measures iPhones and iPads"
        raise ios_error(IosTrouble.NO_PHONE, what, udid=udid)
    version = version_of(facts)
    if numbers_of(version) < MIN_IOS:
        what = f"{named(udid)} has iOS {version}, and phonebench needs iOS {MIN_IOS[0]}.{MIN_IOS[1]} or later"
        raise ios_error(IosTrouble.TOO_OLD, what, udid=udid)


def needs_tunneld(facts: Facts) -> bool:
    """Return whether developer services are behind a tunnel that only root can make."""
    return TUNNELLED <= numbers_of(version_of(facts)) < ROOTLESS


def check_tunneld(udid: str, facts: Facts) -> None:
    """Raise `IosError` if an iPhone needs a tunnel of root's and none is running."""
    if needs_tunneld(facts) and not _tunneld_answers():
        what = f"{named(udid)} has iOS {version_of(facts)}, and no tunnel to it is running"
        raise ios_error(IosTrouble.TUNNEL, what, udid=udid)


def state_of(udid: str, facts: Facts) -> IosError | None:
    """Return the one thing that keeps an iPhone that answers from being measured, None if nothing does."""
    try:
        check_facts(udid, facts)
        check_tunneld(udid, facts)
    except IosError as error:
        return error
    # In the order in which a person has to deal with them.
    checks = (
        (not facts.get("paired", True), IosTrouble.NOT_TRUSTED, "does not trust this computer yet"),
        (facts.get("PasswordProtected") is True, IosTrouble.LOCKED, "is locked"),
        (facts.get("developer_mode") is False, IosTrouble.DEVELOPER_MODE, "has developer mode switched off"),
        (facts.get("mounted") is False, IosTrouble.NO_IMAGE, "has no developer image mounted"),
        (bool(facts.get("expired")), IosTrouble.PROFILE, "has a runner app whose profile has expired"),
    )
    for applies, trouble, what in checks:
        if applies:
            return ios_error(trouble, f"{named(udid)} {what}", udid=udid)
    return None


def _chip(facts: Facts) -> str:
    platform = str(facts.get("HardwarePlatform") or "").lower()
    return _CHIPS.get(platform, platform or "unknown")


def _tunneld_answers() -> bool:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", 49151), timeout=1):
            return True
    except OSError:
        return False
