"""Installs runner apps on a phone outside a run. A failure costs only the app it concerns."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.devices.android.phone import open_android
from harness.devices.kind import InstalledRunner
from harness.errors import PhoneError, UnknownNameError, UsageError
from harness.runners.android.records import Runtime
from harness.runners.android.store import built_apks


def install_apps(key: str, runtimes: tuple[str, ...], folder: Path | None = None) -> tuple[InstalledRunner, ...]:
    """Install the apps of ``runtimes``, or every app in ``folder``, on the phone of ``key``.

    ``folder`` is where the APKs are, None for where ``phonebench runner build android`` puts them by default.

    Raises `UnknownNameError` for a runtime that does not exist, `UsageError` when no app is built, `PhoneError` when
    the phone cannot take any.
    """
    names = _checked(runtimes) or tuple(runtime.value for runtime in built_apks(folder))
    if not names:
        where = f"in {str(folder)!r}" if folder else "here"
        option = f" --out {shlex.quote(str(folder))}" if folder else ""
        msg = f"no runner APK has been built {where}; build them with: phonebench runner build android{option}"
        raise UsageError(msg)
    installed: list[InstalledRunner] = []
    with open_android(key, apks=folder) as phone:
        for runtime in names:
            try:
                installed.append(InstalledRunner(runtime=runtime, version=phone.install(runtime)))
            except PhoneError as error:
                if not error.one_cell:
                    raise
                installed.append(InstalledRunner(runtime=runtime, error=str(error)))
    return tuple(installed)


def _checked(runtimes: tuple[str, ...]) -> tuple[str, ...]:
    for runtime in runtimes:
        if runtime not in set(Runtime):
            raise UnknownNameError(runtime, kind="runtime", allowed=[known.value for known in Runtime])
    return tuple(dict.fromkeys(runtimes))
