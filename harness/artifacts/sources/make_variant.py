"""Makes variants in a worker process: loads the float network, applies the steps, and stores the result."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.artifacts.cache import Cache
from harness.artifacts.sources.made_variant import (
    NETWORK_FILE,
    OWN_REFERENCE_FILE,
    VARIED_FILE,
    Varied,
    VariedModel,
    read_varied,
    variant_key,
)
from harness.artifacts.sources.prepare_model import output_specs, run_float, weights_sha256
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.errors import BuildError
from harness.model.card import ModelCard, SourceKind
from harness.model.data import Dataset, Split
from harness.model.network import load_network
from harness.model.part_data import load_data
from harness.model.pickled import load_pickled
from harness.scoring.marks import mark
from harness.spec.recipe import Step
from harness.system.files import file_sha256
from harness.variants.make import Variant, count_macs, make_variant
from harness.variants.step import StepContext, UnfitError
from harness.wire.tensors import write_tensors

if TYPE_CHECKING:
    import torch


def vary(card: ModelCard, model: PreparedModel, steps: Sequence[Step], cache: Cache) -> VariedModel:
    """Make the variant that ``steps`` describe, or return it if another process has made it.

    If the model cannot take the steps, the entry has a reason instead of a network. Raises `BuildError` if a step
    fails.
    """
    key = variant_key(model.facts, steps)

    def make(folder: Path) -> None:
        facts = Varied(key=key, steps=tuple(steps))
        try:
            facts = _make(card, model, facts, folder)
        except UnfitError as error:
            facts = replace(facts, reason=str(error))
        facts = replace(facts, files={file.name: file_sha256(file) for file in sorted(folder.iterdir())})
        (folder / VARIED_FILE).write_bytes(msgspec.json.encode(facts))

    return cache.find_or_make("variants", key, read_varied, make)


def load_varied(card: ModelCard, varied: VariedModel) -> torch.nn.Module:
    """Return the network of a made variant.

    The file is a Python pickle, so loading it runs code. This program wrote it, here or on a build host of the farm,
    which is trusted like this computer.
    """
    # Building the original network does to this process whatever its factory does, such as registering operators.
    load_network(card)
    return load_pickled(varied.network_path, card.folder or Path.cwd()).eval()


def _make(card: ModelCard, model: PreparedModel, facts: Varied, folder: Path) -> Varied:
    import torch

    if card.kind is SourceKind.KERAS:
        msg = "graph steps work on PyTorch networks only, and this is a Keras model or SavedModel"
        raise UnfitError(msg)
    context = context_of(card, model)
    if isinstance(context.original, torch.jit.ScriptModule):
        msg = "graph steps cannot change a TorchScript file or module; give the nn.Module, or its folder"
        raise UnfitError(msg)
    variant: Variant = make_variant(facts.steps, context)
    torch.save(variant.network, folder / NETWORK_FILE)
    outputs = run_float(variant.network, model.test_inputs())
    specs = output_specs(outputs)
    _check_outputs(model, [spec.shape for spec in specs])
    write_tensors(folder / OWN_REFERENCE_FILE, outputs, specs)
    labels = model.labels()
    return replace(
        facts,
        reports=variant.reports,
        weights_sha256=weights_sha256(variant.network),
        parameters=sum(p.numel() for p in variant.network.parameters()),
        macs=count_macs(variant.network, context.example()),
        outputs=specs,
        float_correct=None if labels is None else int(mark(card, outputs[0], labels).right.sum()),
    )


def context_of(card: ModelCard, model: PreparedModel) -> StepContext:
    """Return what graph steps may use of a prepared model."""
    described = replace(card, inputs=model.facts.inputs)
    labelled = load_data(described, Split.CALIBRATION) if card.data and not model.facts.random_calibration else None

    @functools.cache
    def train() -> Dataset | None:
        return load_data(described, Split.TRAIN) if card.data else None

    return StepContext(
        card=described,
        inputs=model.facts.inputs,
        original=load_network(card),
        calibration=labelled or Dataset(inputs=model.calibration_inputs(), labels=None),
        random_calibration=model.facts.random_calibration,
        train=train,
    )


def _check_outputs(model: PreparedModel, shapes: list[tuple[int, ...]]) -> None:
    expected = [spec.shape for spec in model.facts.outputs]
    if shapes != expected:
        msg = f"the variant's outputs have shapes {shapes}, the model's have {expected}: they must be the same"
        raise BuildError(msg)
