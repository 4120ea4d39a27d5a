"""Device kind ``ios``: iPhones and iPads on a cable, by their UDID."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.devices.kind import Checkup, DeviceKind, InstalledRunner, name_in
from harness.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate, Format


def _check_key(key: str) -> None:
    name = name_in(key)
    if name is not None and not name.strip():
        msg = f"device {key!r} has no UDID: write 'ios' for the only iPhone, or 'ios:UDID'"
        raise DeviceError(msg)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:
    from harness.devices.ios.phone import open_ios

    return open_ios(key, settings)


def _infos() -> tuple[DeviceInfo, ...]:
    from harness.devices.ios.usbmux import udids_there

    udids = udids_there()
    if not udids:
        return ()
    # What asks an iPhone is imported only where there is one.
    from harness.devices.ios.listing import phone_infos

    return phone_infos(udids)


def _present(named: Sequence[str]) -> tuple[str, ...]:
    from harness.devices.ios.usbmux import udids_there

    # One that was named may be on Wi-Fi, or on its way back from a restart: whoever opens it waits for it.
    return tuple(named) or tuple(f"{IOS.name}:{udid}" for udid in udids_there())


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  an iPhone is asked only when it is opened
    from harness.wire import Delegate

    return Delegate.CPU, Delegate.XNNPACK, Delegate.GPU, Delegate.COREML


def _formats(key: str) -> dict[Format, tuple[Delegate, ...] | str]:  # noqa: ARG001  the app has the same everywhere
    from harness.wire import Delegate, Format

    return {
        Format.PTE: (Delegate.XNNPACK, Delegate.COREML),
        Format.TFLITE: (Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.COREML),
        Format.ONNX: (Delegate.CPU, Delegate.XNNPACK, Delegate.COREML),
        Format.PTL: (Delegate.CPU,),
        Format.MLPACKAGE: (Delegate.COREML,),
    }


def _expand(key: str) -> tuple[str, ...]:
    from harness.devices.ios.usbmux import expand_key

    return expand_key(key)


def _checkup(key: str) -> Checkup:
    from harness.devices.ios.checkup import check_iphone

    return check_iphone(key)


def _install_runners(key: str, runtimes: tuple[str, ...], ipa: Path | None) -> tuple[InstalledRunner, ...]:
    from harness.devices.ios.install import install_ios

    return install_ios(key, runtimes, ipa)


IOS = DeviceKind(
    name="ios",
    examples=("ios", "ios:UDID"),
    group_examples=("ios:all",),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    absent="No iPhone is connected. To find out why: phonebench doctor --device ios",
    delegates=_delegates,
    formats=_formats,
    present=_present,
    expand=_expand,
    # Every iPhone has a processor of its own; the work left to this computer is to wait for them.
    concurrent=True,
    settings=frozenset({"ipa", "encrypt"}),
    packages=(("ios", "uv", "iPhones: makes the driver's environment"),),
    checkup=_checkup,
    install_runners=_install_runners,
)
