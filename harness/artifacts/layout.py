"""Test inputs for artifacts that take images with their channels last, unlike the model.

The test inputs are transposed once, when the artifact is made, into a file next to it. So runners get the same kind of
file for every layout, and nothing is transposed near a timed call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.artifacts.manifest import Artifact, ArtifactInputs
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.system.files import file_sha256
from harness.wire import INPUTS_FILE, TensorSpec

if TYPE_CHECKING:
    from harness.wire.tensors import Array

# Batch, channels, height, width.
IMAGE_DIMENSIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsFile:
    """A file of inputs, and the tensors of one call in it."""

    path: Path
    tensors: tuple[TensorSpec, ...]


def inputs_file(artifact: Artifact, model: PreparedModel) -> InputsFile:
    """Return the test inputs of ``model`` in the layout that ``artifact`` takes."""
    inputs = artifact.manifest.inputs
    if inputs is None or artifact.path is None:
        return InputsFile(path=model.inputs_path, tensors=model.facts.inputs)
    return InputsFile(path=artifact.path.with_name(inputs.file), tensors=inputs.tensors)


def is_image(spec: TensorSpec) -> bool:
    """Return whether a tensor is an image with its channels first, as in PyTorch."""
    return len(spec.shape) == IMAGE_DIMENSIONS


def channels_last(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return ``specs`` with the shape of each image as ``(batch, height, width, channels)``."""
    return tuple(replace(s, shape=(s.shape[0], *s.shape[2:], s.shape[1])) if is_image(s) else s for s in specs)


def to_channels_last(arrays: Sequence[Array], specs: Sequence[TensorSpec]) -> tuple[Array, ...]:
    """Return arrays of shape ``(count, *spec.shape)`` with the channels of each image last."""
    import numpy as np

    moved = [np.moveaxis(a, 2, -1) if is_image(s) else a for a, s in zip(arrays, specs, strict=True)]
    return tuple(np.ascontiguousarray(array) for array in moved)


def write_channels_last(model: PreparedModel, folder: Path) -> ArtifactInputs:
    """Write the test inputs to ``folder`` with the channels of each image last, and return their description."""
    from harness.wire.tensors import write_tensors

    tensors = channels_last(model.facts.inputs)
    write_tensors(folder / INPUTS_FILE, to_channels_last(model.test_inputs(), model.facts.inputs), tensors)
    return ArtifactInputs(file=INPUTS_FILE, sha256=file_sha256(folder / INPUTS_FILE), tensors=tensors)
