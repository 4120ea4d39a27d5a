"""A launch on a phone, and the protocol of what runs it there: our app, or a benchmark program in the shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.devices.android.adb.deadline import Deadline
from harness.devices.device import Execution
from harness.wire import RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneWork:
    """A request with its inputs, and a scratch folder on this computer for its outputs.

    ``artifact`` is this computer's copy of the file to load; None if only an earlier session pushed it.
    """

    request: RunRequest
    artifact: Path | None
    inputs: Path
    folder: Path


# A launch that is ready to start, with everything it needs on the phone. It must finish by the deadline.
Launch = Callable[[Deadline], Execution]


class Launcher(Protocol):
    """Runs models on one phone. All methods raise `PhoneError`."""

    def prepare(self, mask: str | None) -> None:
        """Check what can be checked before the first launch; ``mask`` is the affinity mask of every launch."""

    def make_ready(self, work: PhoneWork) -> Launch:
        """Put everything that the launch needs on the phone, however long that takes, and return the launch.

        Any outcome of the launch itself is a reply. Raises `DeviceError` for an artifact that is not on the phone.
        """

    def clean(self) -> None:
        """Remove what must not stay on the phone after the session."""
