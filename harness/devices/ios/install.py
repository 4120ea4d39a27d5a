"""Gets ready for iPhones outside a run: the driver on this computer, and the runner app on an iPhone."""

from __future__ import annotations

import contextlib
from pathlib import Path

from harness.devices.ios.environment import driver_python, driver_version, make_environment
from harness.devices.ios.facts import check_facts
from harness.devices.ios.hold import IosOptions, Tether, held
from harness.devices.ios.ipa import Ipa, read_ipa
from harness.devices.ios.runner_app import RunnerApp
from harness.devices.ios.usbmux import choose_phone, list_phones
from harness.devices.kind import InstalledRunner, name_in
from harness.errors import IosError, UnknownNameError
from harness.runners.ios.build import default_ipa

DRIVER, APP = "driver", "app"


def install_ios(key: str, parts: tuple[str, ...], ipa: Path | None) -> tuple[InstalledRunner, ...]:
    """Make the driver's environment, and install the runner app of ``ipa`` on the iPhone of ``key``.

    ``parts`` are ``driver`` and ``app``, both if empty. Raises `UnknownNameError` for another name, `UsageError` for a
    file that is no IPA, and `IosError` if the driver cannot be installed. What the iPhone refuses is in the result.
    """
    for part in parts:
        if part not in (DRIVER, APP):
            raise UnknownNameError(part, kind="part", allowed=(DRIVER, APP))
    file = ipa or default_ipa()
    app_file = read_ipa(file) if file else None
    installed = []
    if not parts or DRIVER in parts:
        make_environment()
        installed.append(InstalledRunner(runtime=DRIVER, version=driver_version()))
    if not parts or APP in parts:
        installed.append(_install_app(key, app_file))
    return tuple(installed)


def _install_app(key: str, ipa: Ipa | None) -> InstalledRunner:
    try:
        udid = choose_phone(list_phones(), name_in(key) or "").udid
        with held(udid), contextlib.closing(Tether(udid, driver_python(), IosOptions(ipa=ipa))) as tether:
            check_facts(udid, tether.facts)
            runner = RunnerApp(tether)
            # Also where the same app is there: it may have been signed again, with a profile that has not expired.
            app = runner.install(ipa) if ipa is not None else runner.ensure()
        return InstalledRunner(runtime=APP, version=f"{app.bundle_id} {app.version}")
    except IosError as error:
        return InstalledRunner(runtime=APP, error=str(error))
