"""The application ids of the runner apps, one per runtime, and where their APKs come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from harness.spec.formats import FORMATS
from harness.wire import Format

RUNTIMES: dict[Format, str] = {
    format_: row.android_runtime for format_, row in FORMATS.items() if row.android_runtime is not None
}


class RunnerApk(Protocol):
    """A built runner app."""

    @property
    def path(self) -> Path:
        """The APK file."""

    @property
    def app_id(self) -> str:
        """The application id in the APK's manifest."""

    @property
    def version_name(self) -> str:
        """The ``versionName`` in the APK's manifest."""


# Returns the APK of a runtime for a phone with these ABIs, the preferred one first; None if it has not been built.
ApkSource = Callable[[str, Sequence[str]], RunnerApk | None]


def app_id_of(runtime: str) -> str:
    """Return the application id of a runtime's runner app."""
    return f"org.phonebench.runner.{runtime}"


APP_IDS = tuple(app_id_of(runtime) for runtime in RUNTIMES.values())


def no_apks(runtime: str, abis: Sequence[str]) -> RunnerApk | None:  # noqa: ARG001  an `ApkSource`
    """Return None: use the installed app, provided it has this version."""
    return None
