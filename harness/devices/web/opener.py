"""What opens the page in a browser: one driven by us, one that a person drives, or one on a phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.devices.web.probe import PageFacts
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.wire import FailureKind, StateSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a page will give no reply: the kind of failure, a sentence, and the evidence."""

    kind: FailureKind
    message: str
    detail: str = ""


class Opener(Protocol):
    """Opens the page, and knows the place where it runs. Methods raise `DeviceError`.

    ``gpu`` says that the launch needs WebGPU. ``reads_memory``: `renderers` can return some.
    ``reuses_page``: one page serves several launches.
    """

    passively_cooled: bool
    reads_memory: bool
    reuses_page: bool

    def open(self, *, gpu: bool) -> None:
        """Make sure that a page is open that asks for the next job."""

    def close(self) -> None:
        """Close the page after a launch, if it is ours to close."""

    def end(self) -> None:
        """Close everything and put back what was changed. May be called twice."""

    def trouble(self) -> Trouble | None:
        """Return why the page is gone, None if it is there as far as is known."""

    def renderers(self) -> tuple[int, ...]:
        """Return the processes on this computer of which one runs the page; empty if they are not known."""

    def learn(self, facts: PageFacts, *, gpu: bool) -> bool:
        """Take what the page reported; return whether to open it again, because something is to be done differently."""

    def info(self, key: str) -> DeviceInfo:
        """Return what the browser and its device are. Called after `learn`."""

    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions of the place now."""

    def readiness(self) -> Readiness:
        """Return the state of the place that the gate checks."""

    def state(self) -> StateSample | None:
        """Return the state of the place during a launch, None if it cannot be read."""
