"""A launch as a phone is given it, and what runs it there: our app, or a program of the shell."""

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
    """A request with its inputs, and a scratch folder of this computer for the answer.

    ``artifact`` is the file to load as this computer has it, None where an earlier session put it on the phone.
    """

    request: RunRequest
    artifact: Path | None
    inputs: Path
    folder: Path


# A launch that only has to be begun: all it takes is on the phone. It must be answered by the deadline.
Launch = Callable[[Deadline], Execution]


class Launcher(Protocol):
    """What runs a model on one phone. All methods raise `PhoneError`."""

    def prepare(self, mask: str | None) -> None:
        """Check what can be checked before the first launch; ``mask`` is the affinity mask of all of them."""

    def make_ready(self, work: PhoneWork) -> Launch:
        """Put everything on the phone that a launch takes, however long that lasts, and return the launch.

        Whatever becomes of the launch is a reply. Raises `DeviceError` for an artifact that is not on the phone.
        """
