"""Device kinds, and devices by key: ``host``, ``fake``, ``fake:NAME``, ``android``, ``android:SERIAL``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from harness.devices.android.adb.server import expand_key
from harness.devices.android.phone import open_android
from harness.devices.device import Device
from harness.devices.fake.fake import check_fake_key, fake_info, open_fake
from harness.devices.host.facts import host_info
from harness.devices.host.host import open_host
from harness.errors import DeviceError, UnknownNameError
from harness.records.device import DeviceInfo
from harness.spec.phone_settings import AS_IT_IS, PhoneSettings
from harness.wire import Delegate


class DeviceKind(StrEnum):
    """The kinds of devices."""

    HOST = "host"
    FAKE = "fake"
    ANDROID = "android"


DEVICES: dict[DeviceKind, Callable[[str, PhoneSettings], AbstractContextManager[Device]]] = {
    DeviceKind.HOST: lambda key, _: open_host(key),
    DeviceKind.FAKE: lambda key, _: open_fake(key),
    DeviceKind.ANDROID: open_android,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """What the user typed, taken apart; ``name`` is empty for a kind that has one device."""

    kind: DeviceKind
    name: str


def parse_device_key(key: str) -> DeviceKey:
    """Take ``kind`` or ``kind:name`` apart.

    Raises `UnknownNameError` for an unknown kind or an unknown scripted phone, `DeviceError` for a name that the kind
    cannot have.
    """
    head, colon, name = key.partition(":")
    if head not in set(DeviceKind):
        raise UnknownNameError(head, kind="device kind", allowed=[kind.value for kind in DeviceKind], where=repr(key))
    kind = DeviceKind(head)
    match kind:
        case DeviceKind.HOST:
            if colon:
                msg = f"device {key!r} does not exist: there is one host, write 'host'"
                raise DeviceError(msg)
        case DeviceKind.FAKE:
            if colon:
                check_fake_key(key)
        case DeviceKind.ANDROID:
            if colon and not name.strip():
                msg = f"device {key!r} has no serial: write 'android' for the only phone, or 'android:SERIAL'"
                raise DeviceError(msg)
        case _:
            assert_never(kind)
    return DeviceKey(kind=kind, name=name)


def open_device(key: str, settings: PhoneSettings = AS_IT_IS) -> AbstractContextManager[Device]:
    """Return the device of ``key``, to be entered by ``with``, which cleans it; raises as `parse_device_key` does.

    ``settings`` are for phones; other devices have nothing to set.
    """
    return DEVICES[parse_device_key(key).kind](key, settings)


def expand_devices(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``keys`` with each that stands for the phones which are there replaced by theirs, each once.

    Raises `PhoneError` when there is none. Nothing is asked of a phone for any other key.
    """
    expanded = (expand_key(key) if parse_device_key(key).kind is DeviceKind.ANDROID else (key,) for key in keys)
    return tuple(dict.fromkeys(key for group in expanded for key in group))


def list_devices() -> tuple[DeviceInfo, ...]:
    """Return the devices that are always there: this machine, and the scripted phone; `phone_infos` has the others."""
    return (host_info(), fake_info("fake"))


# What each kind of device can run on; a kind that is not listed says so itself when it is opened.
DEVICE_DELEGATES: dict[str, tuple[Delegate, ...]] = {
    "host": (Delegate.CPU, Delegate.XNNPACK),
    "fake": (Delegate.CPU, Delegate.XNNPACK, Delegate.GPU),
    "android": (Delegate.CPU, Delegate.XNNPACK, Delegate.GPU, Delegate.NNAPI),
}
