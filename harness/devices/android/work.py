"""A launch as a phone is given it, and what runs it there: our app, or a program of the shell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.devices.android.deadline import Deadline
from harness.devices.device import Execution
from harness.wire import RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneWork:
    """A request, its inputs, until when it must be answered, and a scratch folder of this computer for the answer."""

    request: RunRequest
    inputs: Path
    folder: Path
    deadline: Deadline


class Launcher(Protocol):
    """What runs a model on one phone. All methods raise `PhoneError`."""

    def prepare(self) -> None:
        """Check what can be checked before the first launch."""

    def know(self, artifact: Path, sha256: str) -> None:
        """Take note of an artifact that is put on the phone, where something stands in its file alone."""

    def execute(self, work: PhoneWork) -> Execution:
        """Run a launch of an artifact that is on the phone; whatever becomes of it is a reply."""
