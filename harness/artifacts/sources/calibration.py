"""Calibration inputs generated without data, once per model, and cached for every worker and format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import __version__
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import VARIANT_PACKAGES, VARIANT_REVISION, check_files, read_record
from harness.artifacts.sources.prepared_model import CALIBRATION_FILE, Prepared
from harness.errors import BuildError
from harness.model.card import ModelCard, Task
from harness.model.network import load_network
from harness.spec.recipe import CalibrationFrom
from harness.system.files import file_sha256, json_sha256
from harness.system.packages import versions_of
from harness.variants.datafree import from_batch_norms, from_ranges
from harness.wire.tensors import Array, read_tensors, write_tensors

# 1 (2026-11): the first version.
SCHEMA = 1

MADE_FILE = "calibration.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedInputs:
    """How many inputs were generated from ``source``, and the digest of their file."""

    schema: int = SCHEMA
    source: CalibrationFrom
    count: int
    sha256: str


def generated_inputs(card: ModelCard, facts: Prepared, source: CalibrationFrom, cache: Cache) -> tuple[Array, ...]:
    """Return the inputs generated from ``source`` for the float network of ``card``, from the cache if possible.

    All variants of the model use them, because graph steps may fold away what they are generated from. One array per
    tensor, of shape ``(count, *TensorSpec.shape)``. Raises `UnfitError` if the model lacks what they are generated
    from.
    """

    def make(folder: Path) -> None:
        file = folder / CALIBRATION_FILE
        arrays = _make(card, facts, source)
        write_tensors(file, arrays, facts.inputs)
        record = GeneratedInputs(source=source, count=len(arrays[0]), sha256=file_sha256(file))
        (folder / MADE_FILE).write_bytes(msgspec.json.encode(record))

    path, generated = cache.find_or_make("calibrations", _key(facts, source), _read, make)
    return read_tensors(path, facts.inputs, generated.count)


def _make(card: ModelCard, facts: Prepared, source: CalibrationFrom) -> tuple[Array, ...]:
    match source:
        case CalibrationFrom.BATCH_NORM:
            classes = card.task is Task.CLASSIFICATION
            return from_batch_norms(load_network(card), facts.inputs, card.ranges, classes=classes)
        case CalibrationFrom.RANGE:
            return from_ranges(facts.inputs, card.ranges)
        case CalibrationFrom.DATA:
            msg = "the calibration split is data, not generated: read it from the prepared model"
            raise BuildError(msg)


def _key(facts: Prepared, source: CalibrationFrom) -> str:
    parts = {
        "calibration": source,
        "source": facts.key,
        "weights": facts.weights_sha256,
        "revision": VARIANT_REVISION,
        "versions": versions_of(VARIANT_PACKAGES),
        "phonebench": __version__,
    }
    return json_sha256(parts)


def _read(folder: Path) -> tuple[Path, GeneratedInputs]:
    generated = read_record(folder / MADE_FILE, GeneratedInputs, SCHEMA)
    check_files(folder, {CALIBRATION_FILE: generated.sha256})
    return folder / CALIBRATION_FILE, generated
