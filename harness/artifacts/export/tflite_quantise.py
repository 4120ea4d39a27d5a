"""What ai-edge-quantizer needs: ranges by the recipe's observer, rules, and the operators of a layer."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from harness.artifacts.export.layers import is_within
from harness.spec.recipe import Precision, Recipe
from harness.variants.ranges import ObservedRange, whole_ends
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

Feed = dict[str, Array]

TRANSPOSED = "TRANSPOSE_CONV"
# Operators with weights of their own.
_WEIGHTED = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D", TRANSPOSED, "CONV_3D_TRANSPOSE", "FULLY_CONNECTED", "BATCH_MATMUL",
    "EMBEDDING_LOOKUP", "GATHER", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN",
)  # fmt: skip
Ranges = dict[str, Any]
NOT_DYNAMIC = "TensorFlow Lite up to 2.16, which Android phones may have, has no int8-dynamic transposed convolution"


def rules_of(recipe: Recipe, kept_operators: Iterable[str]) -> Any:
    """Return the rules for ``recipe``. Operators with a scope in ``kept_operators`` stay in float."""
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    manager = recipe_manager.RecipeManager()
    everywhere = {"regex": ".*", "operation_name": qtyping.TFLOperationName.ALL_SUPPORTED}
    grain = qtyping.QuantGranularity
    granularity = grain.CHANNELWISE if recipe.quantisation.per_channel else grain.TENSORWISE
    match recipe.precision:
        case Precision.FP16:
            # Float16 weights that are widened when the file is loaded. Activations stay float32.
            manager.add_weight_only_config(**everywhere, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
        case Precision.INT8 | Precision.INT16X8:
            bits = 8 if recipe.precision is Precision.INT8 else 16
            manager.add_static_config(
                **everywhere, activation_num_bits=bits, weight_num_bits=8, weight_granularity=granularity
            )
        case Precision.INT8_DYNAMIC:
            manager.add_dynamic_config(**everywhere, num_bits=8)
            transposed = qtyping.TFLOperationName.CONV_2D_TRANSPOSE
            manager.add_quantization_config(".*", transposed, algorithm_key=AlgorithmName.NO_QUANTIZE)
        case Precision.INT8_WEIGHT | Precision.INT4_WEIGHT:
            bits = 8 if recipe.precision is Precision.INT8_WEIGHT else 4
            manager.add_weight_only_config(**everywhere, num_bits=bits)
        case Precision.FP32 | Precision.BF16 | Precision.INT8_DYNAMIC_INT4:
            msg = f"the quantiser is not used for {recipe.precision.value}"
            raise ValueError(msg)
        case _:
            assert_never(recipe.precision)
    for scope in kept_operators:
        exactly = f"^{re.escape(scope)}$"
        manager.add_quantization_config(exactly, everywhere["operation_name"], algorithm_key=AlgorithmName.NO_QUANTIZE)
    return manager.get_quantization_recipe()


def operators_within(base: bytes, network: torch.nn.Module, example: Any, kept: tuple[str, ...]) -> list[str]:
    """Return the scopes of the operators in the file ``base`` that come from the layers ``kept`` of ``network``.

    The converter names each tensor after the modules on the way to it, with their classes and names. An operator
    belongs to a layer by its output or its constants, because outputs of the graph have other names.
    """
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    places = _places(network, example, kept)
    model = flatbuffer.read_model(bytearray(base))
    scopes: list[str] = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            constants = [
                i for i in operator.inputs if i >= 0 and model.buffers[graph.tensors[i].buffer].data is not None
            ]
            names = [graph.tensors[i].name.decode() for i in [*operator.outputs, *constants]]
            if any(_is_at(part, places) for name in names for part in name.split(";")):
                scopes.append(flatbuffer.get_op_scope(operator, graph.tensors))
    return scopes


def _places(network: torch.nn.Module, example: Any, kept: tuple[str, ...]) -> set[str]:
    """The names that the converter gives to what runs inside ``kept``, from the graph's module stacks."""
    import torch

    places: set[str] = set()
    for node in torch.export.export(network, example).graph.nodes:
        path: list[str] = []
        for name, kind in node.meta.get("nn_module_stack", {}).values():
            path.append(kind + (f"_{name.rpartition('.')[2]}" if name else ""))
            if name and is_within(name, kept):
                places.add("/".join(path))
    return places


def _is_at(part: str, places: set[str]) -> bool:
    return part in places or any(part.startswith(f"{place}/") for place in places)


def observe(job: Any, base: bytes, signature: str, feeds: list[Feed], recipe: Recipe) -> Ranges:
    """Return the range of every tensor that ``job`` quantises, by the recipe's observer.

    The quantiser's own calibration on one input gives the record of the tensors, in which the numbers are replaced.
    """
    from ai_edge_litert.interpreter import Interpreter

    ranges: Ranges = job.calibrate({signature: feeds[:1]})
    interpreter = Interpreter(model_content=base, experimental_preserve_all_tensors=True)
    observed = {name: ObservedRange(recipe.quantisation.observer) for name in ranges}
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for end in whole_ends(recipe.quantisation.observer, inputs, outputs):
        if end["name"] in observed:
            observed[end["name"]].keep_whole()
    for feed in feeds:
        for name, values in _activations(interpreter, signature, feed, observed):
            observed[name].see(values)
    levels = 2**8 if recipe.precision is Precision.INT8 else 2**16
    for name, range_ in ranges.items():
        limits = observed[name].range(levels)
        if limits is not None:
            range_["min"], range_["max"] = (
                np.full_like(range_[end], value) for end, value in zip(("min", "max"), limits, strict=True)
            )
    return ranges


def _activations(interpreter: Any, signature: str, feed: Feed, names: Container[str]) -> Iterator[tuple[str, Array]]:
    """Run the float file on ``feed`` and yield those tensors in ``names`` that are float activations."""
    interpreter.get_signature_runner(signature)(**feed)
    for detail in interpreter.get_tensor_details():
        if detail["name"] in names and detail["dtype"] is np.float32 and 0 not in detail["shape"]:
            yield detail["name"], interpreter.get_tensor(detail["index"])


def integer_weights(model: bytes, *, bits: int) -> bool:
    """Return whether the file has a constant of two or more dimensions in integers of ``bits`` (4 or 8)."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    content = flatbuffer.read_model(bytearray(model))
    kind = schema.TensorType.INT4 if bits == 4 else schema.TensorType.INT8
    return any(
        tensor.type == kind and len(tensor.shape) > 1 and content.buffers[tensor.buffer].data is not None
        for graph in content.subgraphs
        for tensor in graph.tensors
    )


def float_layers(model: bytes, network: torch.nn.Module) -> list[tuple[str, str]]:
    """Return the layers of the file that have constants of two or more dimensions in float32: names and operators.

    A name is empty if the names of the tensors do not say which layer of ``network`` it is.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    content = flatbuffer.read_model(bytearray(model))
    operators = {number: name for name, number in vars(schema.BuiltinOperator).items() if name in _WEIGHTED}
    layers: list[tuple[str, str]] = []
    for graph in content.subgraphs:
        for operator in graph.operators:
            kind = operators.get(content.operatorCodes[operator.opcodeIndex].builtinCode)
            tensors = [graph.tensors[i] for i in operator.inputs if i >= 0]
            constants = [tensor for tensor in tensors if content.buffers[tensor.buffer].data is not None]
            if kind and any(c.type == schema.TensorType.FLOAT32 and len(c.shape) > 1 for c in constants):
                names = [graph.tensors[i].name.decode() for i in operator.outputs]
                layers.append((_layer_of(names, network), kind))
    return layers


def asymmetric_inputs(model: bytes) -> bytes:
    """Return ``model`` with its fully connected layers on integer weights taking inputs by a zero point too.

    With symmetric inputs, the kernels of TensorFlow Lite up to 2.19 for ARM, and some for x86, ignore the scales of the
    channels where XNNPACK does not take the layer (docs/optimisation.md). With a zero point they use them, and the
    outputs are those of XNNPACK, which always has one.
    """
    from ai_edge_litert.tools import flatbuffer_utils
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    content = flatbuffer.read_model(bytearray(model))
    layers = [
        operator for graph in content.subgraphs for operator in graph.operators if _is_hybrid(content, graph, operator)
    ]
    # Constants behind the file's table, which files above 2 GB have, would be lost by writing it anew.
    if not layers or any(buffer.offset for buffer in content.buffers):
        return model
    for operator in layers:
        operator.builtinOptions.asymmetricQuantizeInputs = True
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def _is_hybrid(content: Any, graph: Any, operator: Any) -> bool:
    """Whether an operator is a fully connected layer with float inputs and integer weights."""
    from ai_edge_litert import schema_py_generated as schema

    if content.operatorCodes[operator.opcodeIndex].builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
        return False
    types = [graph.tensors[index].type for index in operator.inputs[:2]]
    return types[0] == schema.TensorType.FLOAT32 and types[1] in (schema.TensorType.INT8, schema.TensorType.INT4)


def _layer_of(names: list[str], network: torch.nn.Module) -> str:
    """The innermost submodule that the names of tensors lead to: its class and name are in them, after its parents'."""
    parts = {part for name in names for part in name.partition(";")[0].split("/")}
    found = ""
    for name, module in network.named_modules():
        part = f"{type(module).__module__}.{type(module).__qualname__}_{name.rpartition('.')[2]}"
        if name and part in parts and is_within(name, [found] if found else [name]):
            found = name
    return found
