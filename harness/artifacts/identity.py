"""The key of an artifact: a digest of everything that decides its bytes or its verification, and of nothing else."""

from __future__ import annotations

import msgspec

from harness import __version__
from harness.artifacts.sources.made_variant import variant_key
from harness.artifacts.sources.prepared_model import Prepared
from harness.plan.cells import Build
from harness.records.sensitivity import REVISION
from harness.spec.formats import FORMATS, packages_to_build
from harness.spec.recipe import Recipe
from harness.system.files import json_sha256
from harness.system.packages import versions_of

# Raise it when verification gives other results for the same file, or those that a cache holds stay.
GATE_REVISION = 3


def artifact_key(facts: Prepared, recipe: Recipe | None, build: Build) -> str:
    """Return the SHA-256, in hexadecimal, over weights, recipe, format, backend, calibration and package versions.

    ``recipe`` is None for a ready-made file. Only its content counts then, and the runtime that verified it. The test
    inputs count because the manifest holds the results of the verification. The key of the source counts because the
    code of ``forward``, or the task in the card, can change while all weights stay the same.
    """
    row = FORMATS[build.format]
    language = row.language if facts.language is not None else None
    built = language.packages if language is not None else packages_to_build(build.format, build.backend)
    packages = built if recipe else row.runtime_packages
    calibrated = recipe is not None and recipe.calibrated
    parts = {
        "source": facts.key,
        "weights": facts.weights_sha256,
        "inputs": msgspec.to_builtins(facts.inputs),
        "data": facts.data_sha256,
        "calibration": facts.calibration_sha256 if calibrated else None,
        "recipe": msgspec.to_builtins(recipe),
        "format": build.format,
        "backend": build.backend,
        "revision": row.revision if language is None else language.revision,
        "versions": versions_of(packages),
        "variant": variant_key(facts, recipe.steps) if recipe and recipe.steps else None,
        "gate": GATE_REVISION,
        # A release may change an exporter without anybody having raised its revision.
        "phonebench": __version__,
    }
    if recipe is not None and recipe.quantisation.keep_float is not None:
        # Only if layers are chosen by a scan, so that a new scan leaves the keys of all other artifacts alone.
        parts["scan"] = REVISION
    return json_sha256(parts)
