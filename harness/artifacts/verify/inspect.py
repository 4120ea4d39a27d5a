"""What can be checked of an artifact whose runtime is not on this computer: that it parses, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.export.mlpackage import describe_package
from harness.artifacts.manifest import ArtifactState
from harness.plan.support import Backend
from harness.runners.host.runtimes.pte_file import read_pte

# What the backends are called inside a program.
DELEGATE_NAMES: dict[Backend, str] = {Backend.VULKAN: "VulkanBackend", Backend.COREML: "CoreMLBackend"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """``found`` says what is in the file; ``reason`` is set unless the state is unverified."""

    state: ArtifactState
    reason: str | None = None
    found: str | None = None


def check_unrun(path: Path, backend: Backend | None) -> Check:
    """Read the file at ``path``: a program lowered to ``backend``, or without one a Core ML package."""
    if backend is not None:
        return _check_program(path, backend)
    try:
        return Check(state=ArtifactState.UNVERIFIED, found=describe_package(path))
    except ValueError as error:
        return Check(state=ArtifactState.BROKEN, reason=str(error))


def _check_program(path: Path, backend: Backend) -> Check:
    facts, name = read_pte(path), DELEGATE_NAMES[backend]
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
