"""Device kind ``android``: phones that an adb server knows."""

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
    from harness.wire import Delegate


def _check_key(key: str) -> None:
    name = name_in(key)
    if name is not None and not name.strip():
        msg = f"device {key!r} has no serial: write 'android' for the only phone, or 'android:SERIAL'"
        raise DeviceError(msg)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:
    from harness.devices.android.phone import open_android

    return open_android(key, settings)


def _infos() -> tuple[DeviceInfo, ...]:
    from harness.devices.android.listing import phone_infos

    return phone_infos()


def _present(named: Sequence[str]) -> tuple[str, ...]:
    from harness.devices.android.adb.server import READY, ensure_server, list_phones, phone_key, server_of

    server = server_of()
    ensure_server(server)
    keys = tuple(phone_key(phone.serial) for phone in list_phones(server) if phone.state == READY)
    return tuple(key for key in keys if key in named) if named else keys


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  a phone is asked only when it is opened
    from harness.wire import Delegate

    return Delegate.CPU, Delegate.XNNPACK, Delegate.GPU, Delegate.NNAPI, Delegate.QNN


def _expand(key: str) -> tuple[str, ...]:
    from harness.devices.android.adb.groups import expand_key

    return expand_key(key)


def _checkup(key: str) -> Checkup:
    from harness.devices.android.checkup import check_phone

    return check_phone(key)


def _install_runners(key: str, runtimes: tuple[str, ...], folder: Path | None) -> tuple[InstalledRunner, ...]:
    from harness.devices.android.install import install_apps

    return install_apps(key, runtimes, folder)


ANDROID = DeviceKind(
    name="android",
    examples=("android", "android:SERIAL"),
    group_examples=("android:all",),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    absent="No phone is connected. To find out why: phonebench doctor --device android",
    delegates=_delegates,
    # ExecuTorch's app; programs of the phone's shell run other formats.
    language=lambda format_: format_.value == "pte",
    present=_present,
    expand=_expand,
    # Every phone has a processor of its own; the work left to this computer is to wait for them.
    concurrent=True,
    settings=frozenset({"clocks", "cores", "runner", "binary", "encrypt"}),
    packages=(("android", "adbutils", "Android phones"),),
    checkup=_checkup,
    install_runners=_install_runners,
)
