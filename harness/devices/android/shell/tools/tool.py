"""What a benchmark program is asked to do, and what its output says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.wire import (
    Delegate,
    Failure,
    FailureKind,
    GenerationSamples,
    LatencyPass,
    LatencySamples,
    MemoryReading,
    OperatorTime,
    ReplyStatus,
)

_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolJob:
    """One start of a program. Paths are on the phone; ``inputs`` has one file per tensor of the single input, or none.

    ``shapes`` are those of the tensors, including the batch. ``calls`` is for programs that take a number of calls
    instead of a duration. ``operators``: profile the operators instead of measuring. ``prompt_tokens`` and
    ``new_tokens`` are those of a language model, which gets no inputs. ``prompt_text`` has that many tokens, and
    ``tokenizer`` is the file that makes them of it.
    """

    program: str
    model: str
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    delegate: Delegate
    threads: int
    latency: LatencyPass
    calls: int = 0
    operators: bool = False
    prompt_tokens: int = 0
    new_tokens: int = 0
    prompt_text: str = ""
    tokenizer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReport:
    """What a program reported. With a ``failure`` the status is not ``ok``, and the rest is what preceded it."""

    status: ReplyStatus = ReplyStatus.OK
    failure: Failure | None = None
    latency: LatencySamples | None = None
    load_ns: int | None = None
    memory: MemoryReading | None = None
    delegate_used: str | None = None
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None
    operators: tuple[OperatorTime, ...] = ()
    generation: GenerationSamples | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An error message that a program prints, and what it means.

    ``pattern`` is a regular expression. ``sentence`` is a format string for its groups, the first of which is ``{0}``.
    ``unsupported`` says that the program cannot do what was requested, which is a result rather than a fault.
    """

    pattern: str
    kind: FailureKind
    sentence: str
    unsupported: bool = False


class ShellTool(Protocol):
    """How to call one program and read its output. Pure, except that `with_file` reads the artifact."""

    @property
    def name(self) -> str:
        """The program's own name."""

    @property
    def runtime(self) -> str:
        """The runtime in it, under the name that other runners report."""

    @property
    def log_tag(self) -> str | None:
        """The tag under which it prints to the phone's log; None if it prints to standard output."""

    @property
    def profiles(self) -> bool:
        """Whether it can time single operators."""

    @property
    def takes_text(self) -> bool:
        """Whether it takes the prompt as text and needs a tokenizer."""

    @property
    def one_call(self) -> bool:
        """Whether a start makes a single call, so that it is started as often as there are calls."""

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """The error messages it is known to print. The first one that occurs in the output explains a failure."""

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        """Return the arguments of the program."""

    def read(self, output: str, job: ToolJob) -> ToolReport:
        """Read the output of a program that ended with exit code 0."""

    def with_file(self, report: ToolReport, artifact: Path) -> ToolReport:
        """Return ``report`` with what only the artifact records, because the program does not print it.

        Raises `OSError` if the artifact cannot be read.
        """

    def refuses_inputs(self, report: ToolReport) -> bool:
        """Return whether it failed only because of the inputs, so that it may run without them."""

    def calls(self, requested: LatencyPass, report: ToolReport | None) -> int:
        """Return how many calls to make: at first ``report`` is None, later that of the first calls."""


class PlainTool:
    """What most programs have in common: the parts of a `ShellTool` that such a program need not state."""

    log_tag: str | None = None
    profiles = False
    takes_text = False
    one_call = False

    def with_file(self, report: ToolReport, artifact: Path) -> ToolReport:  # noqa: ARG002  it prints all it knows
        return report

    def refuses_inputs(self, report: ToolReport) -> bool:  # noqa: ARG002  it takes none, or keeps their types
        return False


def matching_failure(output: str, complaints: Iterable[Complaint]) -> ToolReport | None:
    """Return the failure for the first of ``complaints`` that occurs in ``output``, None if none does."""
    for complaint in complaints:
        match = re.search(complaint.pattern, output)
        if match:
            message = complaint.sentence.format(*match.groups())
            return failure(complaint.kind, message, output, unsupported=complaint.unsupported)
    return None


def failure(kind: FailureKind, message: str, output: str, *, unsupported: bool = False) -> ToolReport:
    """Return a failure with the last lines of the output as its detail."""
    detail = "\n".join(output.strip().splitlines()[-_LINES:])
    status = ReplyStatus.UNSUPPORTED if unsupported else ReplyStatus.FAILED
    return ToolReport(status=status, failure=Failure(kind=kind, message=message, detail=detail))
