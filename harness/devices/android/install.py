"""Installing runner apps on a phone outside of a run: each by itself, so that one that fails costs no other."""

from __future__ import annotations

from dataclasses import dataclass

from harness.devices.android.phone import open_android
from harness.errors import PhoneError, PhoneTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledApp:
    """What became of one runtime's app: its version on the phone, or why it is not there."""

    runtime: str
    version: str = ""
    error: str = ""


def install_apps(key: str, runtimes: tuple[str, ...]) -> tuple[InstalledApp, ...]:
    """Install the apps of ``runtimes`` on the phone of ``key``. Raises `PhoneError` when the phone itself is unfit."""
    done: list[InstalledApp] = []
    with open_android(key) as phone:
        for runtime in runtimes:
            try:
                done.append(InstalledApp(runtime=runtime, version=phone.install(runtime)))
            except PhoneError as error:
                if error.trouble not in (PhoneTrouble.APP, PhoneTrouble.FULL):
                    raise
                done.append(InstalledApp(runtime=runtime, error=str(error)))
    return tuple(done)
