"""Which values of an ``.onnx`` graph ONNX Runtime's integer kernels read: only those need to be rounded.

ONNX Runtime's quantiser rounds whatever operators of its list produce. But a value that only float kernels read, such
as the sum before a layer norm, the input of an LSTM or an output of the graph, gains nothing from it. Measured with
ONNX Runtime 1.31 on a transformer encoder and a vision transformer, leaving such values in float gives 3 to 4 dB and
takes no longer.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# Operators whose integer kernels are what static quantisation is for. Delegates have one for ConvTranspose.
_LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm", "AveragePool", "GlobalAveragePool")
# Operators with integer and float kernels that take about as long.
_EITHER = ("Add", "Mul", "Sigmoid", "Softmax", "Concat", "LeakyRelu", "Where")
# Operators that the quantiser removes where a range does their work.
_CLAMPS = ("Relu", "Clip")
# Operators that move values, or pick from them, and compute with any type.
_MOVES = (
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Gather", "GatherElements", "Pad",
    "MaxPool", "Resize", "Identity",
)  # fmt: skip
# Operators without an integer kernel whose constants the quantiser would round all the same.
_NORMS = ("LayerNormalization", "InstanceNormalization", "BatchNormalization")
# Operators with weights: a network's layers.
_WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Gather", "Einsum", "DeformConv")


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatParts:
    """What is left in float. ``nodes``: names of nodes not to quantise; ``values``: what no integer kernel reads."""

    nodes: frozenset[str]
    values: frozenset[str]


def float_parts(model: Any, excluded: list[str]) -> FloatParts:
    """Return what stays in float if the nodes ``excluded`` do and nothing is rounded without need."""
    readers, nodes, values = _readers(model), set(excluded), set[str]()
    inner = _read_inside(model.graph)
    # The graph is sorted, so the readers of a value have been decided before the value.
    for node in reversed(model.graph.node):
        for value in node.output:
            if value not in inner and not any(_needs_integers(r, nodes, values) for r in readers[value]):
                values.add(value)
        whole = all(value in values for value in node.output)
        if node.name and (node.op_type in _NORMS or (whole and node.op_type in (*_EITHER, *_CLAMPS))):
            nodes.add(node.name)
    return FloatParts(nodes=frozenset(nodes), values=frozenset(values))


def _needs_integers(reader: Any, floats: set[str], values: set[str]) -> bool:
    if reader.name in floats:
        return False
    if reader.op_type in _MOVES:
        return not all(value in values for value in reader.output)
    return reader.op_type in (*_LAYERS, *_EITHER, *_CLAMPS)


def drop_roundings(model: Any, parts: FloatParts) -> None:
    """Remove from a quantised ``model``, in place, the roundings of those values of ``parts`` that need none.

    A kernel for integers gives integers, except that of Gemm, so what other layers compute stays rounded.
    """
    makers = {value: node for node in model.graph.node for value in node.output}
    readers, dropped, renamed = _readers(model), set[str](), dict[str, str]()
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or _plain(node.input[0]) not in parts.values:
            continue
        pair = [node, *readers[node.output[0]]]
        if _gives_floats(makers.get(node.input[0]), parts, renamed) and _are_pairs(pair):
            dropped.update(each.output[0] for each in pair)
            renamed.update({each.output[0]: node.input[0] for each in pair[1:]})
    kept = [node for node in model.graph.node if node.output[0] not in dropped]
    ends = {renamed[end.name]: end.name for end in model.graph.output if end.name in renamed}
    for node in kept:
        node.input[:] = [ends.get(name, name) for name in (renamed.get(name, name) for name in node.input)]
        node.output[:] = [ends.get(name, name) for name in node.output]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def float_layers(model: Any) -> list[Any]:
    """Return the nodes of a quantised ``model`` that read weights of two or more dimensions in float."""
    import onnx

    float_type = onnx.TensorProto.FLOAT
    weights = {w.name for w in model.graph.initializer if w.data_type == float_type and len(w.dims) > 1}
    return [node for node in model.graph.node if node.op_type in _WEIGHTED and weights & set(node.input)]


def _plain(value: str) -> str:
    """The name that the float graph has for a value. The quantiser renames the outputs of the graph."""
    return value.removesuffix("_QuantizeLinear_Input")


def _are_pairs(pair: list[Any]) -> bool:
    return len(pair) > 1 and all(node.op_type == "DequantizeLinear" for node in pair[1:])


def _gives_floats(maker: Any, parts: FloatParts, renamed: dict[str, str]) -> bool:
    """Whether ``maker`` gives floats without a rounding after it, at no cost."""
    if maker is None:
        return False
    if maker.name in parts.nodes or maker.op_type == "Gemm":
        return True
    if maker.op_type in _MOVES:
        # If its input is rounded, so is its output already.
        return maker.input[0] in renamed
    return maker.op_type not in (*_LAYERS, *_EITHER, *_CLAMPS)


def with_layers(model: Any, excluded: list[str]) -> Any:
    """Return a copy of ``model`` in which each product with constant weights and the sum after it are one Gemm.

    A linear layer over a sequence is exported as MatMul and Add. Both would be rounded, while the integer kernel of
    Gemm adds the bias before it rounds, and need not round at all. Nodes in ``excluded`` stay as they are.
    """
    changed = copy.deepcopy(model)
    constants = {tensor.name: tensor for tensor in changed.graph.initializer}
    shapes, readers = _shapes(changed), _readers(changed)
    nodes: list[Any] = []
    done: set[str] = set()
    for node in changed.graph.node:
        shape = shapes.get(node.output[0])
        if node.output[0] in done:
            continue
        if shape is None or node.name in excluded or not _is_layer(node, constants, len(shape)):
            nodes.append(node)
            continue
        chain = _chain(node, readers, constants)
        done.update(each.output[0] for each in chain)
        nodes += _as_gemm(changed, chain, shape)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def _is_layer(node: Any, constants: dict[str, Any], rank: int) -> bool:
    weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
    return weight is not None and len(weight.dims) == 2 and rank >= 2


def _chain(product: Any, readers: dict[str, list[Any]], constants: dict[str, Any]) -> list[Any]:
    """Return ``product``, the sum with one constant per column that alone reads it, and the clamp after these."""
    columns = constants[product.input[1]].dims[1]
    chain = [product]
    for kinds in (("Add",), _CLAMPS):
        reading = readers[chain[-1].output[0]]
        if len(reading) != 1 or reading[0].op_type not in kinds:
            continue
        others = [constants.get(name) for name in reading[0].input if name != chain[-1].output[0]]
        if kinds == _CLAMPS or [list(o.dims) for o in others if o is not None] == [[columns]]:
            chain.append(reading[0])
    return chain


def _as_gemm(model: Any, chain: list[Any], shape: list[int]) -> Iterator[Any]:
    """Yield the nodes that take the place of a `_chain` with an output of ``shape``: Gemm takes two dimensions."""
    import onnx

    product, *others = chain
    end = chain[-1].output[0]
    inner = next(tensor.dims[0] for tensor in model.graph.initializer if tensor.name == product.input[1])
    for name, sizes in ((f"{end}_rows", [-1, inner]), (f"{end}_shape", shape)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes, np.int64), name))
    bias = [name for node in others if node.op_type == "Add" for name in node.input if name != product.output[0]]
    make = onnx.helper.make_node
    yield make("Reshape", [product.input[0], f"{end}_rows"], [f"{end}_in"], name=f"{product.name}/rows")
    yield make("Gemm", [f"{end}_in", product.input[1], *bias], [f"{end}_product"], name=product.name)
    last = f"{end}_product"
    for clamp in (node for node in others if node.op_type in _CLAMPS):
        last = f"{end}_clamped"
        yield make(clamp.op_type, [f"{end}_product", *clamp.input[1:]], [last], name=clamp.name)
    yield make("Reshape", [last, f"{end}_shape"], [end], name=f"{product.name}/shape")


def _shapes(model: Any) -> dict[str, list[int]]:
    """The fixed shapes of values. The tracing exporter records none, so they are inferred."""
    import onnx

    if not model.graph.value_info and model.ByteSize() < onnx.checker.MAXIMUM_PROTOBUF:
        model = onnx.shape_inference.infer_shapes(model)
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    return {name: shape for name, shape in sizes.items() if all(shape)}


def _readers(model: Any) -> dict[str, list[Any]]:
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in model.graph.node:
        for name in set(node.input):
            readers[name].append(node)
    return readers


def _read_inside(graph: Any) -> set[str]:
    """The values that branches and loops within ``graph`` read: their nodes are not looked at."""
    inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return {name for body in inner for node in body.node for name in node.input} | {
        name for body in inner for name in _read_inside(body)
    }
