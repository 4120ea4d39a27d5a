"""Checks of an artifact that has no runtime on this computer: whether it parses, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.export.mlpackage import describe_package
from harness.artifacts.manifest import ArtifactState
from harness.readers.onnx import read_onnx
from harness.readers.pte import read_pte
from harness.readers.read import read_file
from harness.spec.formats import BACKENDS, Backend
from harness.wire import Format

# Functions that read a file without running it. They return a description, or raise `ValueError` with what is wrong.
INSPECTORS: dict[Format, Callable[[Path], str]] = {
    Format.MLPACKAGE: describe_package,
    Format.ONNX: lambda path: f"compiled ahead of time by {read_onnx(path).compiled_by}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of a check. ``content`` describes the file; ``reason`` is set unless the state is unverified."""

    state: ArtifactState
    reason: str | None = None
    content: str | None = None


def is_compiled(path: Path, format_: Format) -> bool:
    """Return whether a provider of ONNX Runtime has compiled the file for a processor that this computer lacks."""
    facts = read_file(path, format_) if format_ is Format.ONNX else None
    return facts is not None and bool(facts.compiled_by)


def check_unrun(path: Path, format_: Format, backend: Backend | None) -> Check:
    """Check the file at ``path``, which is an ExecuTorch program if it was lowered to a ``backend``."""
    if backend is not None:
        return _check_program(path, backend)
    inspect = INSPECTORS.get(format_)
    try:
        return Check(state=ArtifactState.UNVERIFIED, content=inspect(path) if inspect else None)
    except ValueError as error:
        return Check(state=ArtifactState.BROKEN, reason=str(error))


def _check_program(path: Path, backend: Backend) -> Check:
    facts, name = read_pte(path), BACKENDS[backend].name_in_file
    if facts.partitions is None or facts.kernel_calls is None:
        return Check(state=ArtifactState.BROKEN, reason="the file does not parse as an ExecuTorch program")
    if name not in facts.backends:
        reason = f"the {backend.value} partitioner took none of the {facts.kernel_calls} operators of this network"
        return Check(state=ArtifactState.UNSUPPORTED, reason=reason)
    if set(facts.backends) != {name}:
        reason = f"the file has delegates of {', '.join(facts.backends)}; expected only {name}"
        return Check(state=ArtifactState.BROKEN, reason=reason)
    delegates = "1 delegate" if facts.partitions == 1 else f"{facts.partitions} delegates"
    return Check(
        state=ArtifactState.UNVERIFIED,
        content=f"{delegates} of {name}, {facts.kernel_calls} operators not delegated",
    )
