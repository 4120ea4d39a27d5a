"""A made variant: the network that the graph steps of a recipe produced, its outputs, and what the steps report.

It is cached, so every format and precision of the variant starts from the same weights. Its key is computed from plain
data, without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness import __version__
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import VARIANT_PACKAGES, VARIANT_REVISION, check_files, read_record
from harness.artifacts.sources.prepared_model import Prepared, PreparedModel
from harness.records.steps import StepReport
from harness.spec.recipe import Recipe, Step
from harness.system.files import json_sha256
from harness.system.packages import versions_of
from harness.wire import TensorSpec

if TYPE_CHECKING:
    from harness.wire.tensors import Array

# 1 (2026-11): the first version.
SCHEMA = 1

VARIED_FILE = "variant.json"
NETWORK_FILE = "network.pt"
OWN_REFERENCE_FILE = "reference.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """The record of a made variant.

    ``reason`` is set if the model cannot take the steps; there is no network then. ``outputs`` describes the outputs of
    the variant's network on the test inputs. ``float_correct`` is how many of them are correct, None without labels.
    ``files`` has the SHA-256 of every file of the entry except this record.
    """

    schema: int = SCHEMA
    key: str
    steps: tuple[Step, ...]
    reason: str | None = None
    reports: tuple[StepReport, ...] = ()
    weights_sha256: str = ""
    parameters: int = 0
    macs: int | None = None
    outputs: tuple[TensorSpec, ...] = ()
    float_correct: int | None = None
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariedModel:
    """A `Varied` record and the folder of its files."""

    facts: Varied
    folder: Path

    @property
    def network_path(self) -> Path:
        """The network, as written by `torch.save`."""
        return self.folder / NETWORK_FILE

    def reference(self, count: int) -> tuple[Array, ...]:
        """Return the outputs of the variant's network on the ``count`` test inputs, one array per output."""
        from harness.wire.tensors import read_tensors

        return read_tensors(self.folder / OWN_REFERENCE_FILE, self.facts.outputs, count)


def variant_key(facts: Prepared, steps: Sequence[Step]) -> str:
    """Return the key of the network that ``steps`` make of a prepared model.

    The training data need no entry of their own: the key of the source covers every file that data come from.
    """
    parts = {
        "source": facts.key,
        "weights": facts.weights_sha256,
        "calibration": facts.calibration_sha256,
        "test": facts.data_sha256,
        "steps": msgspec.to_builtins(tuple(steps)),
        "revision": VARIANT_REVISION,
        "versions": versions_of(VARIANT_PACKAGES),
        "phonebench": __version__,
    }
    return json_sha256(parts)


def references(
    model: PreparedModel, varied: VariedModel | None
) -> tuple[tuple[Array, ...] | None, tuple[Array, ...] | None]:
    """Return the outputs that an artifact must compute, and those of the float model; None for what does not exist.

    They differ after graph steps, when an artifact must compute the variant's outputs. Without steps they are the same
    arrays. Each has shape ``(count, *output shape)``.
    """
    original = model.reference()
    return (original if varied is None else varied.reference(model.facts.test_count)), original


def find_varied(cache: Cache, model: PreparedModel | None, recipe: Recipe | None) -> VariedModel | None:
    """Return the made variant of ``recipe`` from the cache. None without steps, or if it has not been made yet."""
    if model is None or recipe is None or not recipe.steps:
        return None
    return cache.entry("variants", variant_key(model.facts, recipe.steps), read_varied)


def read_varied(folder: Path) -> VariedModel:
    """Read an entry. Raises `ValueError` if it is damaged or has another schema."""
    facts = read_record(folder / VARIED_FILE, Varied, SCHEMA)
    check_files(folder, facts.files)
    return VariedModel(facts=facts, folder=folder)
