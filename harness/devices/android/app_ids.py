"""The runner apps by runtime: application ids, and where their APKs come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness.spec.formats import FORMATS
from harness.wire import Format

RUNTIMES: dict[Format, str] = {
    format_: row.android_runtime for format_, row in FORMATS.items() if row.android_runtime is not None
}


class RunnerApk(Protocol):
    """A runner app that was built: its file, its app id, and its ``versionName``."""

    @property
    def path(self) -> Path:
        """The APK."""

    @property
    def app_id(self) -> str:
        """As in the APK's manifest."""

    @property
    def version_name(self) -> str:
        """As in the APK's manifest."""


# Gives the APK of a runtime, None where none is built.
ApkSource = Callable[[str], RunnerApk | None]


def app_id_of(runtime: str) -> str:
    """Return the id of the runner app of a runtime."""
    return f"org.phonebench.runner.{runtime}"


APP_IDS = tuple(app_id_of(runtime) for runtime in RUNTIMES.values())


def no_apks(runtime: str) -> RunnerApk | None:  # noqa: ARG001  an `ApkSource`
    """Return None: what is installed is taken, if it is of this version."""
    return None
