"""LiteRT runs ``.tflite``. ``cpu`` is its built-in kernels without any delegate, ``xnnpack`` is LiteRT's default.

``gpu`` is in `tflite_gpu`, because it needs another interface of LiteRT.

Inputs and outputs on the wire are the model's logical values. If a tensor of the file is quantised, its scale and zero
point are applied here, outside the timed call.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.runners.host.runtimes.session import (
    ANY_SIZE,
    NATIVE_ERRORS,
    SecondEngine,
    check_inputs,
    import_library,
    left_by_type,
    library_version,
    load_error,
    no_delegate,
    no_numbers,
    refuse_options,
    run_error,
)
from harness.wire import Delegate, DType, RuntimeReport, RuntimeRequest, TensorSpec
from harness.wire.tensors import Array, as_output, on_the_wire

NAME = "litert"
TITLE = "LiteRT"
_DELEGATE_NODE = "DELEGATE"


def import_runtime(request: RuntimeRequest) -> None:
    """Import LiteRT, which has no settings for the whole process."""
    refuse_options(request, TITLE)
    import_library("ai_edge_litert.interpreter", extra="tflite")


def load(path: Path, request: RuntimeRequest) -> TfliteSession:
    """Load the file and allocate its tensors, which is when delegates take their nodes."""
    match request.delegate:
        case Delegate.CPU:
            return _load(path, request, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
        case Delegate.XNNPACK:
            # Adds LiteRT's default delegate, which is XNNPACK.
            return _load(path, request, "AUTO")
        case _:
            raise no_delegate(TITLE, request, [Delegate.CPU.value, Delegate.XNNPACK.value, Delegate.GPU.value])


def _load_reference(path: Path, request: RuntimeRequest) -> TfliteSession:
    return _load(path, request, "BUILTIN_REF")


# Plain loops, up to hundreds of times slower: what LiteRT's own kernels are tested against.
SECOND_ENGINES = (
    SecondEngine(name="LiteRT's reference kernels", load=_load_reference, applies=lambda _: True, most_inputs=8),
)


def describe(path: Path, request: RuntimeRequest) -> TfliteSession:
    """Open the file without allocating its tensors, to read its inputs, outputs and nodes. The session cannot run."""
    return _load(path, request, "BUILTIN_WITHOUT_DEFAULT_DELEGATES", allocate=False)


def _load(path: Path, request: RuntimeRequest, resolver: str, *, allocate: bool = True) -> TfliteSession:
    library: Any = import_library("ai_edge_litert.interpreter", extra="tflite")
    try:
        interpreter = library.Interpreter(
            model_path=str(path),
            num_threads=request.threads,
            experimental_op_resolver_type=getattr(library.OpResolverType, resolver),
        )
        if allocate:
            interpreter.allocate_tensors()
        return TfliteSession(interpreter, request)
    except NATIVE_ERRORS as error:
        raise load_error(path, TITLE, error) from error


class TfliteSession:
    """An interpreter with its tensors allocated. Raises `SessionError` for values other than numbers."""

    def __init__(self, interpreter: Any, request: RuntimeRequest) -> None:
        self._interpreter: Any = interpreter
        self._request = request
        self._inputs: list[dict[str, Any]] = interpreter.get_input_details()
        _check_types(self._inputs, interpreter.get_output_details())
        self._names = _signature_names(interpreter)

    def inputs(self) -> tuple[TensorSpec, ...]:
        names = self._names if len(self._names) == len(self._inputs) else [d["name"] for d in self._inputs]
        return tuple(
            TensorSpec(name=name, dtype=_logical_dtype(detail), shape=tuple(int(n) for n in _open_shape(detail)))
            for name, detail in zip(names, self._inputs, strict=True)
        )

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        check_inputs(self.inputs(), arrays)
        try:
            self._resize(arrays)
            for detail, array in zip(self._inputs, arrays, strict=True):
                self._interpreter.set_tensor(detail["index"], quantise(array, detail))
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error

    def stored_inputs(self) -> dict[int, Array]:
        """Return the inputs that were set as the file stores them, by the index of their tensor."""
        return {detail["index"]: self._interpreter.get_tensor(detail["index"]) for detail in self._inputs}

    def details(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return what the interpreter says of the inputs and of the outputs, quantisation included."""
        return self._inputs, self._interpreter.get_output_details()

    def node_kinds(self) -> list[str]:
        """Return the types of the main graph's nodes in their order."""
        return [node["op_name"] for node in self._nodes()]

    def node_names(self) -> list[str]:
        """Return the names of the nodes of the main graph: of the first output of each, its type if that has none."""
        names = {detail["index"]: detail["name"] for detail in self._interpreter.get_tensor_details()}
        return [names.get(int(node["outputs"][0]), node["op_name"]) for node in self._nodes()]

    def invoke(self) -> None:
        try:
            self._interpreter.invoke()
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error

    def outputs(self) -> tuple[Array, ...]:
        details = self._interpreter.get_output_details()
        return tuple(dequantise(self._interpreter.get_tensor(detail["index"]), detail) for detail in details)

    def report(self) -> RuntimeReport:
        nodes = self._nodes()
        total, delegated, partitions = coverage(nodes)
        return RuntimeReport(
            name=NAME,
            version=library_version("ai-edge-litert"),
            delegate_requested=self._request.delegate,
            delegate_used=(Delegate.XNNPACK if partitions else Delegate.CPU).value,
            threads=self._request.threads,
            nodes_total=total,
            nodes_delegated=delegated,
            partitions=partitions,
            nodes_left=left_by_type(node["op_name"] for node in left_nodes(nodes)) if partitions else (),
        )

    def close(self) -> None:
        self._interpreter = None
        self._inputs = []

    def _nodes(self) -> list[dict[str, Any]]:
        # Not public, but the only call of the Python interpreter that shows what a delegate took.
        nodes: list[dict[str, Any]] = self._interpreter._get_ops_details()
        return nodes

    def _resize(self, arrays: Sequence[Array]) -> None:
        """Set open dimensions to the size of the inputs. Nothing happens if they already have it."""
        changed = False
        for detail, array in zip(self._inputs, arrays, strict=True):
            if tuple(detail["shape"]) != array.shape:
                self._interpreter.resize_tensor_input(detail["index"], array.shape)
                changed = True
        if changed:
            self._interpreter.allocate_tensors()
            self._inputs = self._interpreter.get_input_details()


def coverage(nodes: Sequence[dict[str, Any]]) -> tuple[int, int, int]:
    """Return (nodes of the graph, nodes that delegates run, partitions)."""
    own, taken, partitions = _taken(nodes)
    return len(own), len(taken), partitions


def left_nodes(nodes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes of the graph that delegates do not run."""
    own, taken, _ = _taken(nodes)
    return [node for at, node in enumerate(own) if at not in taken]


def _taken(nodes: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[int], int]:
    """Return the nodes of the graph, the places of those that delegates run, and the number of partitions.

    The list has all nodes of the file, followed by one node per partition. A partition replaced the nodes between its
    inputs and its outputs; they are found by walking back from the outputs to the inputs.
    """
    own = [node for node in nodes if node["op_name"] != _DELEGATE_NODE]
    producer = {int(tensor): at for at, node in enumerate(own) for tensor in node["outputs"]}
    taken: set[int] = set()
    partitions = [node for node in nodes if node["op_name"] == _DELEGATE_NODE]
    for partition in partitions:
        border = {int(tensor) for tensor in partition["inputs"]}
        todo = [int(tensor) for tensor in partition["outputs"]]
        while todo:
            at = producer.get(todo.pop())
            if at is None or at in taken:
                continue
            taken.add(at)
            todo += [int(tensor) for tensor in own[at]["inputs"] if int(tensor) not in border]
    return own, taken, len(partitions)


def quantise(array: Array, detail: dict[str, Any]) -> Array:
    """Return ``array`` in the tensor's own type: real = scale * (stored - zero point), rounded and clipped."""
    kind, array = np.dtype(detail["dtype"]), np.asarray(array)
    scales, zero_points = _parameters(detail)
    if kind.kind not in "iu" or scales.size == 0 or array.dtype.kind != "f":
        return array.astype(kind, copy=False)
    limits = np.iinfo(kind)
    stored = np.clip(np.rint(array / scales) + zero_points, limits.min, limits.max)
    return np.asarray(stored, dtype=kind).reshape(array.shape)


def dequantise(array: Array, detail: dict[str, Any]) -> Array:
    """Return the real values of an output tensor as float32. A tensor without a scale is returned unchanged."""
    scales, zero_points = _parameters(detail)
    if array.dtype.kind not in "iu" or scales.size == 0:
        return as_output(array)
    return ((array.astype(np.float32) - zero_points) * scales).astype(np.float32)


def _parameters(detail: dict[str, Any]) -> tuple[Array, Array]:
    """Scales and zero points as float32, one each or one per channel, shaped to multiply with the tensor."""
    parameters = detail["quantization_parameters"]
    scales = np.asarray(parameters["scales"], dtype=np.float32)
    zero_points = np.asarray(parameters["zero_points"], dtype=np.float32)
    if scales.size <= 1:
        return scales, zero_points
    shape = [1] * len(detail["shape"])
    shape[parameters["quantized_dimension"]] = scales.size
    return scales.reshape(shape), zero_points.reshape(shape)


def _check_types(inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> None:
    for role, details in (("input", inputs), ("output", outputs)):
        for detail in details:
            kind = np.dtype(detail["dtype"])
            if kind.kind not in "iufb":
                words = "strings" if kind.kind in "SU" else "no number" if kind.kind == "O" else kind.name
                raise no_numbers(role, detail["name"], words)


def _logical_dtype(detail: dict[str, Any]) -> DType:
    kind = np.dtype(detail["dtype"])
    if kind.kind in "iu" and _parameters(detail)[0].size:
        return DType.FLOAT32
    return DType(on_the_wire(np.empty(0, kind)).dtype.name)


def _open_shape(detail: dict[str, Any]) -> Sequence[int]:
    signature: Sequence[int] = detail["shape_signature"]
    return signature if len(signature) == len(detail["shape"]) else [ANY_SIZE] * len(detail["shape"])


def _signature_names(interpreter: Any) -> list[str]:
    """Input names of the file's signature, in the order of the graph's inputs; empty unless there is exactly one."""
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1:
        return []
    details = interpreter.get_signature_runner().get_input_details()
    by_index = {int(detail["index"]): name for name, detail in details.items()}
    order = [int(detail["index"]) for detail in interpreter.get_input_details()]
    return [by_index[index] for index in order] if set(order) == set(by_index) else []
