"""Gets ready for iPhones outside a run: the driver on this computer, and the runner app on an iPhone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.devices.ios.environment import driver_version, make_environment
from harness.devices.ios.phone import open_ios
from harness.devices.kind import InstalledRunner
from harness.errors import IosError, UnknownNameError
from harness.spec.phone_settings import DEFAULT_SETTINGS

DRIVER, APP = "driver", "app"


def install_ios(key: str, parts: tuple[str, ...], ipa: Path | None) -> tuple[InstalledRunner, ...]:
    """Make the driver's environment, and install the runner app of ``ipa`` on the iPhone of ``key``.

    ``parts`` are ``driver`` and ``app``, both if empty. Raises `UnknownNameError` for another name, `UsageError` for a
    file that is no IPA, and `IosError` if the driver cannot be installed. What the iPhone refuses is in the result.
    """
    for part in parts:
        if part not in (DRIVER, APP):
            raise UnknownNameError(part, kind="part", allowed=(DRIVER, APP))
    installed = []
    if not parts or DRIVER in parts:
        make_environment()
        installed.append(InstalledRunner(runtime=DRIVER, version=driver_version()))
    if not parts or APP in parts:
        installed.append(_install_app(key, ipa))
    return tuple(installed)


def _install_app(key: str, ipa: Path | None) -> InstalledRunner:
    try:
        with open_ios(key, replace(DEFAULT_SETTINGS, ipa=ipa)) as phone:
            return InstalledRunner(runtime=APP, version=phone.info.details["runner"])
    except IosError as error:
        return InstalledRunner(runtime=APP, error=str(error))
