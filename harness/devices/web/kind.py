"""Device kind ``web``: browsers on this computer, elsewhere, and on phones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.devices.kind import Checkup, DeviceKind, InstalledRunner, name_in
from harness.errors import DeviceError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate, Format


def _check_key(key: str) -> None:
    from harness.devices.web.browsers import check_browser
    from harness.devices.web.hand import BY_HAND

    name = name_in(key)
    if name == "":
        msg = f"device {key!r} names no browser: write web:chromium, web:/path/to/browser, or web:link"
        raise DeviceError(msg)
    if name == "android:" or (name or "").startswith("android: "):
        msg = f"device {key!r} has no serial: write 'web:android' for Chrome on the only phone, or 'web:android:SERIAL'"
        raise DeviceError(msg)
    if name is not None and name.partition(":")[0] != "android":
        check_browser(name, (*BY_HAND, "android:SERIAL"))


def _expand(key: str) -> tuple[str, ...]:
    from harness.devices.web.browsers import first_installed

    return (key,) if name_in(key) else (f"{key}:{first_installed()}",)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:  # noqa: ARG001  nothing to set
    from harness.devices.web.open import open_web

    return open_web(key)


def _infos() -> tuple[DeviceInfo, ...]:
    from dataclasses import replace

    from harness.devices.host.facts import host_info
    from harness.devices.web.browsers import BROWSERS, installed

    host = host_info()
    return tuple(
        replace(host, key=f"web:{name}", kind="web", model=name.capitalize(), details={"program": str(path)})
        for name in BROWSERS
        if (path := installed(name))
    )


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  every browser has the same runtimes
    from harness.wire import Delegate

    return Delegate.CPU, Delegate.XNNPACK, Delegate.GPU


def _formats(key: str) -> dict[Format, tuple[Delegate, ...] | str]:  # noqa: ARG001  every browser has the same
    from harness.wire import Delegate, Format

    return {
        Format.ONNX: (Delegate.CPU, Delegate.GPU),
        Format.TFLITE: (Delegate.XNNPACK, Delegate.GPU),
        Format.PTE: "ExecuTorch publishes no build for browsers",
        Format.PTL: "TorchScript's lite interpreter has no build for browsers",
        Format.MLPACKAGE: "Core ML runs on Apple's systems only, outside of browsers",
    }


def _checkup(key: str) -> Checkup:
    from harness.devices.web.checkup import check_browser_of

    return check_browser_of(key)


def _install_runners(key: str, runtimes: tuple[str, ...], folder: Path | None) -> tuple[InstalledRunner, ...]:  # noqa: ARG001  every browser is served from one place
    from harness.devices.web.install import install_libraries

    return install_libraries(runtimes, folder)


WEB = DeviceKind(
    name="web",
    examples=("web", "web:chromium", "web:/path/to/browser", "web:link", "web:android:SERIAL"),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    absent="No browser is installed.",
    delegates=_delegates,
    formats=_formats,
    expand=_expand,
    checkup=_checkup,
    install_runners=_install_runners,
)
