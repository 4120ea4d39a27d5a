"""What a benchmark program is asked, and what is read from what it printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from harness.wire import Delegate, Failure, FailureKind, LatencyPass, LatencySamples, MemoryReading, ReplyStatus

_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolJob:
    """One start of a program. Paths are those of the phone; ``inputs`` has a file a tensor of the one call, or none.

    ``calls``: how many a program makes that counts alone. ``shapes`` are those of the tensors, batch included.
    """

    program: str
    model: str
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    delegate: Delegate
    threads: int
    latency: LatencyPass
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a program told; with a ``failure`` the status is not ``ok`` and the rest is what came before it."""

    status: ReplyStatus = ReplyStatus.OK
    failure: Failure | None = None
    latency: LatencySamples | None = None
    load_ns: int | None = None
    memory: MemoryReading | None = None
    delegate_used: str | None = None
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None


class ShellTool(Protocol):
    """How one program is asked and read. Pure: words in, words and records out."""

    @property
    def name(self) -> str:
        """The program's own name."""

    @property
    def runtime(self) -> str:
        """The runtime in it, by the name that other runners report."""

    @property
    def log_tag(self) -> str | None:
        """The tag of the phone's log that it prints under, None when it prints to its own output."""

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        """Return the words after the program's name."""

    def read(self, said: str, job: ToolJob) -> Told:
        """Read what a program printed that ended well."""

    def explain(self, said: str, job: ToolJob) -> Told | None:
        """Say why a program ended badly, from what it printed; None where that says nothing."""

    def refuses_inputs(self, told: Told) -> bool:
        """Whether it failed for the inputs' sake alone, so that it can be asked again without them."""

    def calls(self, asked: LatencyPass, told: Told | None) -> int:
        """Return how many calls to ask for: first with None, then with what those told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A complaint of a program by its pattern, and what it means; ``sentence`` may name the pattern's groups."""

    pattern: str
    kind: FailureKind
    sentence: str
    unsupported: bool = False


def told_failure(said: str, complaints: Iterable[Complaint]) -> Told | None:
    """Return the failure of the first of ``complaints`` that ``said`` has."""
    for complaint in complaints:
        found = re.search(complaint.pattern, said)
        if found:
            message = complaint.sentence.format(*found.groups())
            return failure(complaint.kind, message, said, unsupported=complaint.unsupported)
    return None


def failure(kind: FailureKind, message: str, said: str, *, unsupported: bool = False) -> Told:
    """Return a failure with the last lines of what was printed as its evidence."""
    detail = "\n".join(said.strip().splitlines()[-_LINES:])
    status = ReplyStatus.UNSUPPORTED if unsupported else ReplyStatus.FAILED
    return Told(status=status, failure=Failure(kind=kind, message=message, detail=detail))
