"""What a worker reports about a finished file: size, result of the verification, and calibration source."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from harness.artifacts.manifest import ArtifactState, Companion, Manifest
from harness.artifacts.needs import packages_of
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.artifacts.verify.inspect import check_unrun, is_compiled
from harness.artifacts.verify.language import verify_language
from harness.artifacts.verify.made_up import other_values
from harness.artifacts.verify.verify import Expected, verify
from harness.artifacts.workers.tasks import ExportTask
from harness.errors import PhonebenchError, typed_line
from harness.model.card import ModelCard
from harness.model.ready import companions_of, facts_of
from harness.readers.read import read_file
from harness.records.artifact import CalibrationSource, FileTypes, ValueType
from harness.spec.formats import delegate_of, runs_here
from harness.spec.recipe import CalibrationFrom, Recipe
from harness.system.files import file_sha256
from harness.system.packages import versions_of
from harness.wire import Format


def take_along(card: ModelCard, path: Path) -> None:
    """Copy the ready-made file of ``card`` to ``path``, and the files with its weights beside it under their own names.

    Raises `UsageError` if one of them is missing or cannot be taken along.
    """
    shutil.copyfile(card.source, path)
    facts = facts_of(card)
    for companion in companions_of(card, facts) if facts is not None else ():
        shutil.copyfile(companion, path.with_name(companion.name))


def measured(manifest: Manifest, path: Path) -> Manifest:
    """Return ``manifest`` with the sizes and digests of the file and of those that the exporter wrote next to it."""
    # The folder belongs to this artifact alone, so everything else in it was written by the exporter.
    others = sorted(file for file in path.parent.iterdir() if file != path)
    files = [path, *others]
    return replace(
        manifest,
        file=path.name,
        types=_types(path, manifest.format),
        sha256=file_sha256(path),
        bytes=sum(file.stat().st_size for file in files),
        compressed_bytes=sum(deflated_size(file) for file in files),
        companions=tuple(
            Companion(file=file.name, sha256=file_sha256(file), bytes=file.stat().st_size) for file in others
        ),
    )


def _types(path: Path, format_: Format) -> FileTypes | None:
    facts = read_file(path, format_)
    if facts is None:
        return None
    inputs, outputs = (
        tuple(ValueType(type=t.kind, quantised=t.quantised) for t in tensors or ())
        for tensors in (facts.inputs, facts.outputs)
    )
    return FileTypes(weights=facts.weights, inputs=inputs, outputs=outputs)


def crashing(manifest: Manifest, model: PreparedModel) -> Manifest:
    """Return ``manifest`` as it must read if verification ends this process."""
    reason = "its own runtime crashed while it ran the file"
    if manifest.recipe is None and model.facts.random_inputs:
        return replace(manifest, state=ArtifactState.UNSUPPORTED, reason=other_values(model.facts, reason))
    if model.has_infinities():
        reason += (
            "; the float model itself has outputs that are infinite or NaN, which integers cannot hold: use a large "
            "finite number, such as -1e4, in the network"
        )
    return replace(manifest, state=ArtifactState.BROKEN, reason=reason)


def verified(manifest: Manifest, path: Path, expected: Expected) -> Manifest:
    """Return ``manifest`` with the result of verifying the file, or of inspecting one that has no runtime here."""
    if not runs_here(manifest.format, manifest.backend) or is_compiled(path, manifest.format):
        unrun = check_unrun(path, manifest.format, manifest.backend)
        return replace(manifest, state=unrun.state, reason=unrun.reason, checked=unrun.content)
    check = verify if expected.model.facts.language is None else verify_language
    try:
        result = check(path, manifest.format, delegate_of(manifest.format, manifest.backend), expected)
    # Whatever a runtime returns, the file is kept with what is known of it.
    except (PhonebenchError, ValueError, TypeError, IndexError, KeyError, RuntimeError) as error:
        reason = f"its outputs could not be checked: {typed_line(error)}"
        return replace(manifest, state=ArtifactState.BROKEN, reason=reason)
    return replace(
        manifest,
        state=result.state,
        reason=result.reason,
        sqnr_db=result.sqnr_db,
        own_sqnr_db=result.own_sqnr_db,
        agreement=result.agreement,
        gate_inputs=result.inputs,
        sqnr_min_db=result.sqnr_min_db,
        worst_input=result.worst_input,
        differing=result.differing,
        conditions=(*manifest.conditions, *result.conditions),
    )


def deflated_size(path: Path) -> int:
    """Return the size of the file after deflate at level 6, in bytes: about what an app store transfers."""
    packer, size = zlib.compressobj(6), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())


def _calibration_source(recipe: Recipe | None, model: PreparedModel) -> CalibrationSource:
    if recipe is None or not recipe.calibrated:
        return CalibrationSource.NONE
    match recipe.quantisation.calibration:
        case CalibrationFrom.DATA:
            return CalibrationSource.RANDOM if model.facts.random_calibration else CalibrationSource.DATA
        case CalibrationFrom.BATCH_NORM:
            return CalibrationSource.BATCH_NORM
        case CalibrationFrom.RANGE:
            return CalibrationSource.RANGE
        case _:
            assert_never(recipe.quantisation.calibration)


def blank(task: ExportTask, expected: Expected, key: str) -> Manifest:
    """Return the manifest of ``task`` before the export, with all that does not depend on the file. It says failed."""
    varied = expected.varied.facts if expected.varied else None
    return Manifest(
        key=key,
        model=task.build.model,
        variant=task.build.variant,
        recipe=task.recipe,
        format=task.build.format,
        backend=task.build.backend,
        state=ArtifactState.FAILED,
        calibration=_calibration_source(task.recipe, expected.model),
        steps=varied.reports if varied else (),
        parameters=varied.parameters if varied else expected.model.facts.parameters,
        macs=varied.macs if varied else expected.model.facts.macs,
        versions=versions_of(packages_of(task.card, task.build)),
    )
