"""Sensitivity scans in a worker process, stored in the cache under the weights and calibration data."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness import __version__
from harness.artifacts.cache import Cache
from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.artifacts.manifest import read_record
from harness.artifacts.verify.verify import Expected
from harness.errors import UsageError
from harness.model.card import Task
from harness.records.sensitivity import DEFAULT_INPUTS, REVISION, SCHEMA, Scan, kept_layers, named_layers
from harness.scoring.class_rows import class_rows
from harness.spec.recipe import CalibrationFrom, KeepFloat, Precision, Quantisation, Recipe
from harness.system.files import json_sha256
from harness.system.packages import versions_of
from harness.variants.sensitivity import scan_network
from harness.variants.simulate import is_layer
from harness.variants.step import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable

SCAN_FILE = "scan.json"
# Precisions whose quantiser can leave single layers in float.
MIXED = (Precision.INT8, Precision.INT16X8, Precision.INT8_DYNAMIC, Precision.INT8_WEIGHT, Precision.INT4_WEIGHT)


def scan_key(expected: Expected, quantisation: Quantisation, inputs: int) -> str:
    """Return the key of a scan: a digest of the network, the inputs it uses, and the code that runs it."""
    facts, varied = expected.model.facts, expected.varied
    parts = {
        "source": facts.key,
        "weights": varied.facts.weights_sha256 if varied else facts.weights_sha256,
        "steps": msgspec.to_builtins(varied.facts.steps) if varied else [],
        "calibration": facts.calibration_sha256,
        "from": quantisation.calibration,
        "inputs": inputs,
        "revision": REVISION,
        "versions": versions_of(("torch",)),
        "phonebench": __version__,
    }
    return json_sha256(parts)


def find_scan(cache: Cache, key: str) -> Scan | None:
    """Return a scan that was made earlier, or None."""
    return cache.entry("scans", key, _read)


def scan(expected: Expected, source: Callable[[], FloatModel], quantisation: Quantisation, cache: Cache) -> Scan:
    """Scan with the inputs that ``quantisation`` asks for, or return the scan if another process has made it.

    ``source`` loads the network if it is needed. Raises `UnfitError` if there is nothing to scan.
    """
    count = quantisation.calibration_inputs
    key = scan_key(expected, quantisation, count)

    def make(folder: Path) -> None:
        model = source()
        items = tuple(itertools.islice(model.calibration_items(quantisation), count))
        # Where a call gives several answers, the first outputs as a whole have no largest class.
        rows = class_rows(expected.card, expected.model.facts.outputs[0].shape, expected.model.labels_shape())
        classes = expected.card.task is Task.CLASSIFICATION and not rows.rows
        result = scan_network(model.network, items, model=expected.card.name, key=key, classes=classes)
        # Inputs generated from the network's own statistics are not random; noise in place of data is.
        random = quantisation.calibration is CalibrationFrom.DATA and expected.model.facts.random_calibration
        (folder / SCAN_FILE).write_bytes(msgspec.json.encode(replace(result, random_inputs=random)))

    made = cache.find_or_make("scans", key, _read, make)
    varied = expected.varied
    # Scans that an earlier version left in the cache do not name their weights.
    return replace(made, weights_sha256=(varied or expected.model).facts.weights_sha256)


def resolved(recipe: Recipe, expected: Expected, source: Callable[[], FloatModel], cache: Cache) -> Recipe:
    """Return ``recipe`` with the names of the layers that stay in float, which is what exporters take.

    Raises `UnsupportedError` with a reason if there are no such layers.
    """
    keep = recipe.quantisation.keep_float
    if keep is None:
        return recipe
    if recipe.precision not in MIXED:
        return _keeping(recipe, None)
    scanned = msgspec.structs.replace(
        recipe.quantisation, calibration_inputs=min(DEFAULT_INPUTS, recipe.quantisation.calibration_inputs)
    )
    try:
        if keep.layers is not None:
            layers = [name for name, module in source().network.named_modules() if is_layer(module)]
            names = named_layers(keep.layers, layers)
        else:
            names = kept_layers(keep, scan(expected, source, scanned, cache))
    except (UsageError, UnfitError) as error:
        raise UnsupportedError(str(error)) from error
    return _keeping(recipe, KeepFloat(layers=names) if names else None)


def _keeping(recipe: Recipe, keep: KeepFloat | None) -> Recipe:
    return msgspec.structs.replace(recipe, quantisation=msgspec.structs.replace(recipe.quantisation, keep_float=keep))


def _read(folder: Path) -> Scan:
    return read_record(folder / SCAN_FILE, Scan, SCHEMA)
