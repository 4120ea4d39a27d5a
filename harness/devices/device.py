"""What every kind of device offers, and the record of one execution."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.wire import RunReply, RunRequest, StateSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What came back from one launch.

    ``reply_bytes`` is the reply as the runner wrote it, or as the host made it when there was none to believe.
    ``outputs`` is a local file, valid until the device executes again or is cleaned; None when there are no outputs.
    ``watch`` is the device's state about once a second while the launch ran, taken from outside of the runner.
    ``conditions`` are those of this launch alone, beside what the device tells before it.
    """

    reply: RunReply
    reply_bytes: bytes
    outputs: Path | None
    watch: tuple[StateSample, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Device(Protocol):
    """A place to run. All methods raise `DeviceError` when the device is missing or cannot take work."""

    @property
    def info(self) -> DeviceInfo:
        """What the device is; constant while it is open."""

    @property
    def passively_cooled(self) -> bool:
        """Whether it needs the profile's pause between launches to shed heat."""

    def conditions(self) -> tuple[Condition, ...]:
        """Return what makes figures taken now less trustworthy."""

    def readiness(self) -> Readiness:
        """Return what the gate before a launch asks for; may take a tenth of a second, since it probes the speed."""

    def rest(self, seconds: float) -> None:
        """Leave the device alone for so long, so that it cools or gets free."""

    def push(self, path: Path, sha256: str) -> bool:
        """Put a file on the device under its digest; False when it was there already."""

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        """Run one launch of an artifact that was pushed; a launch that fails is a reply with its failure."""

    def clean(self) -> None:
        """Remove everything that was put on the device."""
