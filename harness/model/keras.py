"""Loads the float network of a Keras file or a TensorFlow SavedModel as one TensorFlow function.

The function has fixed shapes and takes its inputs in the order of the card, whatever the model came as. Reference
outputs, calibration and conversion all go through it, so they cannot disagree about shapes or order.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BuildError, MissingPackageError
from harness.model.card import ModelCard
from harness.model.element_types import element_type
from harness.model.user_code import find_module, running
from harness.wire import TensorSpec, shape_text

SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasModel:
    """A loaded model: ``function`` takes the inputs in order, and ``holder`` keeps its variables alive.

    ``argument_names`` are TensorFlow's names of the inputs. Sorted, they are in the order of the call.
    """

    inputs: tuple[TensorSpec, ...]
    argument_names: tuple[str, ...]
    function: Any
    holder: Any
    parameters: int
    weights_sha256: str

    def run(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the outputs of one call as numpy arrays. Raises `BuildError` when the call fails."""
        import tensorflow as tf

        with running("running the Keras model", raises=BuildError, folder=None):
            outputs = self.function(*[tf.constant(array) for array in arrays])
            return tuple(output.numpy() for output in tf.nest.flatten(outputs))


def load_keras(card: ModelCard) -> KerasModel:
    """Return the network of ``card``, a Keras file or the folder of a SavedModel.

    Raises `BuildError` when it cannot be read or leaves the size of an input open, `MissingPackageError` when
    TensorFlow is not installed.
    """
    if find_module("tensorflow", None) is None:
        purpose = f"loading the model {card.name!r}"
        raise MissingPackageError(package="tensorflow", extra="tensorflow", purpose=purpose)
    # Keras also runs on JAX and PyTorch, but TensorFlow's converter can only read TensorFlow's own graphs.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    path = Path(card.source)
    with running(f"reading {str(path)!r}", raises=BuildError, folder=None):
        loaded = _from_folder(path) if path.is_dir() else _from_file(path)
    inputs = card.inputs or tuple(_one_call(spec, path) for spec in loaded.inputs)
    return _fixed(loaded, inputs, card)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A model as read from disk. Open sizes are -1, and ``call`` takes the inputs in order."""

    inputs: tuple[TensorSpec, ...]
    call: Any
    holder: Any
    variables: Sequence[Any]


def _from_file(path: Path) -> _Loaded:
    import tensorflow as tf

    # compile=False skips the optimizer and the loss, which may be code that does not exist here.
    model = tf.keras.models.load_model(path, compile=False)
    holder = tf.Module()
    # The converter saves the variables it can reach from this module; a Keras model does not expose its own.
    holder.variables_of_model = [variable.value for variable in model.variables]

    def call(*tensors: Any) -> Any:
        return model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)

    return _Loaded(inputs=tuple(map(_spec, model.inputs)), call=call, holder=holder, variables=model.variables)


def _from_folder(path: Path) -> _Loaded:
    import tensorflow as tf

    holder = tf.saved_model.load(str(path))
    signature = holder.signatures.get(SIGNATURE)
    if signature is None:
        names = ", ".join(sorted(holder.signatures)) or "none"
        msg = f"the SavedModel {path.name!r} has no signature {SIGNATURE!r} (it has: {names}); export it with one"
        raise BuildError(msg)
    named = signature.structured_input_signature[1]

    def call(*tensors: Any) -> Any:
        return signature(**dict(zip(named, tensors, strict=True)))

    specs = tuple(_spec(spec, name) for name, spec in named.items())
    return _Loaded(inputs=specs, call=call, holder=holder, variables=signature.variables)


def _spec(tensor: Any, name: str = "") -> TensorSpec:
    import tensorflow as tf

    dtype = element_type(tf.as_dtype(tensor.dtype).name, f"input {(name or tensor.name)!r}")
    sizes = tuple(-1 if size is None else int(size) for size in tensor.shape)
    return TensorSpec(name=name or tensor.name, dtype=dtype, shape=sizes)


def _one_call(spec: TensorSpec, path: Path) -> TensorSpec:
    shape = (1, *spec.shape[1:]) if spec.shape[:1] == (-1,) else spec.shape
    if -1 in shape:
        msg = f"{path.name} leaves the size of its input {spec.name!r} open; set it with --input NAME:DTYPE:1x224x224x3"
        raise BuildError(msg)
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=shape)


def _fixed(loaded: _Loaded, inputs: tuple[TensorSpec, ...], card: ModelCard) -> KerasModel:
    import tensorflow as tf

    if len(inputs) != len(loaded.inputs):
        names = ", ".join(spec.name for spec in loaded.inputs)
        msg = (
            f"model {card.name!r} has the inputs {names}, but {len(inputs)} are declared; correct [[input]] or --input"
        )
        raise BuildError(msg)
    # The converter sorts the inputs by name. Numbered names keep them in the order of the card.
    arguments = tuple(f"input_{place:03d}" for place in range(len(inputs)))
    signature = [tf.TensorSpec(s.shape, s.dtype.value, name=n) for s, n in zip(inputs, arguments, strict=True)]
    shown = ", ".join(f"{s.name} {s.dtype.value} {shape_text(s.shape)}" for s in inputs)
    with running(f"running the network of {card.name!r} on {shown}", raises=BuildError, folder=None):
        function = tf.function(lambda *xs: tf.nest.flatten(loaded.call(*xs)), input_signature=signature)
        concrete = function.get_concrete_function()
    return KerasModel(
        inputs=inputs,
        argument_names=arguments,
        function=concrete,
        holder=loaded.holder,
        parameters=sum(int(tf.size(variable)) for variable in loaded.variables),
        weights_sha256=_digest(loaded.variables),
    )


def _digest(variables: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for place, variable in enumerate(variables):
        values = variable.numpy()
        digest.update(f"{place} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
