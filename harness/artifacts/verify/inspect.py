"""What can be checked of an artifact whose runtime is not on this computer: that it parses, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.export.mlpackage import describe_package
from harness.artifacts.manifest import ArtifactState
from harness.runners.host.runtimes.pte_file import read_pte
from harness.spec.formats import BACKENDS, Backend
from harness.wire import Format

# Reads a file without running it: describes it, or raises `ValueError` with what is wrong with it.
INSPECTORS: dict[Format, Callable[[Path], str]] = {Format.MLPACKAGE: describe_package}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """``found`` says what is in the file; ``reason`` is set unless the state is unverified."""

    state: ArtifactState
    reason: str | None = None
    found: str | None = None


def check_unrun(path: Path, format_: Format, backend: Backend | None) -> Check:
    """Read the file at ``path``, an ExecuTorch program if it was lowered to a ``backend``."""
    if backend is not None:
        return _check_program(path, backend)
    inspect = INSPECTORS.get(format_)
    try:
        return Check(state=ArtifactState.UNVERIFIED, found=inspect(path) if inspect else None)
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
        reason = f"it holds delegates of {', '.join(facts.backends)}, {name} alone was asked for"
        return Check(state=ArtifactState.BROKEN, reason=reason)
    delegates = "1 delegate" if facts.partitions == 1 else f"{facts.partitions} delegates"
    return Check(
        state=ArtifactState.UNVERIFIED,
        found=f"{delegates} of {name}, operators left over: {facts.kernel_calls}",
    )
