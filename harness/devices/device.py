"""What every device offers, and the record of one launch on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.wire import RunReply, RunRequest, StateSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one launch returned.

    ``reply_bytes`` is the reply as the runner wrote it, or the one the host wrote in its place.
    ``outputs`` is a local file, valid until the next launch or until the device is cleaned; None without outputs.
    ``watch`` is the device's state about once a second during the launch, sampled outside the runner.
    ``conditions`` apply to this launch only, in addition to those the device reports before it.
    """

    reply: RunReply
    reply_bytes: bytes
    outputs: Path | None
    watch: tuple[StateSample, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Device(Protocol):
    """A place to run models. Every method raises `DeviceError` if the device is missing or cannot take work."""

    @property
    def info(self) -> DeviceInfo:
        """What the device is; constant while it is open."""

    @property
    def passively_cooled(self) -> bool:
        """Whether it has no fan, so that it needs the profile's pauses between launches to cool down."""

    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions that apply to anything measured now."""

    def readiness(self) -> Readiness:
        """Return the state that the gate checks before a launch; may take 0.1 s, because it probes the speed."""

    def rest(self, seconds: float) -> None:
        """Leave the device idle for this long, to let it cool or other work finish."""

    def push(self, path: Path, sha256: str) -> bool:
        """Store a file on the device under its digest; return False if it was there already."""

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        """Run one launch of an artifact that has been pushed. A launch that fails returns a reply with its failure."""

    def clean(self) -> None:
        """Remove what was put on the device and end any launch in flight."""
