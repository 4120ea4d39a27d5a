"""What ``phonebench build`` prints about its outcome."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.artifacts.build import BuildOutcome
from harness.artifacts.manifest import RUNNABLE, Artifact, ArtifactState
from harness.errors import BuildError
from harness.records import units

COLUMNS = ("model", "variant", "format", "backend", "state", "size", "SQNR", "file or reason")


def build_rows(outcome: BuildOutcome) -> list[tuple[str, ...]]:
    """Return a row of `COLUMNS` per artifact, and one per model that could not be loaded."""
    rows = [_row(artifact) for artifact in outcome.artifacts.values()]
    return rows + [(name, "", "", "", "failed", "", "", reason) for name, reason in outcome.model_failures.items()]


def builds_json(outcome: BuildOutcome) -> dict[str, Any]:
    """Return the manifests with the paths of their files as plain values for JSON."""
    artifacts = [
        msgspec.to_builtins(artifact.manifest) | {"path": str(artifact.path) if artifact.path else None}
        for artifact in outcome.artifacts.values()
    ]
    return {"schema": 1, "built": outcome.built, "artifacts": artifacts, "failed_models": outcome.model_failures}


def build_exit_code(outcome: BuildOutcome) -> int:
    """Return the exit code of a failed build if an artifact failed or is broken or if none was built, else 0."""
    # UNSUPPORTED artifacts are results with a reason, unless there is nothing else.
    states = [artifact.manifest.state for artifact in outcome.artifacts.values()]
    bad = outcome.model_failures or any(s in (ArtifactState.BROKEN, ArtifactState.FAILED) for s in states)
    return BuildError.exit_code if bad or not set(RUNNABLE) & set(states) else 0


def _detail(artifact: Artifact) -> str:
    """Where the file is, and why it cannot be used or was not verified if so; or why there is no file."""
    manifest = artifact.manifest
    if artifact.path is None:
        return manifest.reason or ""
    if manifest.reason:
        return f"{manifest.reason}; the file is kept: {artifact.path}"
    return f"built, not run here ({manifest.checked}): {artifact.path}" if manifest.checked else str(artifact.path)


def _row(artifact: Artifact) -> tuple[str, ...]:
    manifest = artifact.manifest
    return (
        manifest.model,
        manifest.variant,
        manifest.format.value,
        manifest.backend.value if manifest.backend else "",
        manifest.state.value,
        units.size(manifest.bytes) if manifest.bytes is not None else "",
        units.decibels(manifest.sqnr_db) if manifest.sqnr_db is not None else "",
        _detail(artifact),
    )
