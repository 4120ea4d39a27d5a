"""ONNX Runtime runs ``.onnx``. Inputs are bound once, so the timed call is the run alone, without a copy.

The ``options`` of the request become session configuration entries under the names that ONNX Runtime gives them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.runners.host.runtimes.saturation import PRECISE, saturates
from harness.runners.host.runtimes.session import (
    ANY_SIZE,
    NATIVE_ERRORS,
    Profiled,
    SecondEngine,
    SessionError,
    call_times,
    check_inputs,
    import_library,
    load_error,
    no_delegate,
    no_numbers,
    run_error,
)
from harness.runners.host.runtimes.spans import Span, operator_times
from harness.wire import Delegate, DType, FailureKind, ProfileFacts, RuntimeReport, RuntimeRequest, TensorSpec
from harness.wire.tensors import Array, as_output, on_the_wire

NAME = "onnxruntime"
# Operators that run graphs of their own.
_GRAPHS = ("If", "Loop", "Scan")
# The operator that stands for a part which a provider compiled ahead of time.
_CONTEXT = "EPContext"
# ONNX Runtime otherwise prints a warning for every unusual graph.
_FATAL_ONLY = 4

PROVIDERS: dict[Delegate, str] = {
    Delegate.CPU: "CPUExecutionProvider",
    Delegate.XNNPACK: "XnnpackExecutionProvider",
    Delegate.NNAPI: "NnapiExecutionProvider",
    Delegate.COREML: "CoreMLExecutionProvider",
    Delegate.QNN: "QNNExecutionProvider",
}

# ONNX Runtime's words for what numpy can hold. Reading anything else, such as text, can end the process.
TYPES: dict[str, str] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


def import_runtime(request: RuntimeRequest) -> None:  # noqa: ARG001 - the signature is the protocol's
    """Import ONNX Runtime and silence its log."""
    library: Any = import_library("onnxruntime", extra="onnx")
    library.set_default_logger_severity(_FATAL_ONLY)


def load(path: Path, request: RuntimeRequest) -> OnnxSession:
    """Create a session, which optimises the graph for the provider."""
    library: Any = import_library("onnxruntime", extra="onnx")
    return OnnxSession(library, _make(library, path, request, _options(library, request)), request)


def _load_plain(path: Path, request: RuntimeRequest) -> OnnxSession:
    library: Any = import_library("onnxruntime", extra="onnx")
    options = _options(library, request)
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_DISABLE_ALL
    return OnnxSession(library, _make(library, path, request, options), request)


# Each operator by itself, as the file has it: no fused operators, and quantised ones computed in float.
SECOND_ENGINES = (
    SecondEngine(name="ONNX Runtime without its graph optimisations", load=_load_plain, applies=lambda _: True),
)


def profile(path: Path, request: RuntimeRequest, arrays: Sequence[Array], calls: int) -> Profiled:
    """Time every operator over ``calls`` calls, in a separate session with profiling on.

    ONNX Runtime counts in whole microseconds. Raises `SessionError`.
    """
    library: Any = import_library("onnxruntime", extra="onnx")
    with tempfile.TemporaryDirectory(prefix="phonebench-profile-") as folder:
        options = _options(library, request)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        native = _make(library, path, request, options)
        session = OnnxSession(library, native, request)
        session.set_inputs(arrays)
        calls_ns = call_times(session, calls)
        events = json.loads(Path(native.end_profiling()).read_text(encoding="utf-8"))
    facts = ProfileFacts(source=f"{NAME} {library.__version__}", calls_ns=calls_ns)
    return Profiled(operators=operator_times(trace_spans(events)), facts=facts)


def trace_spans(events: Sequence[dict[str, Any]]) -> tuple[Span, ...]:
    """Return the kernel events of ONNX Runtime's trace after the first call, in the order in which they began.

    The trace has them in the order in which they ended.
    """
    names = {provider: delegate.value for delegate, provider in PROVIDERS.items()}
    first_call = next((e["ts"] + e["dur"] for e in events if e.get("name") == "model_run"), 0)
    spans = [
        Span(
            name=event["name"].removesuffix("_kernel_time"),
            kind=event["args"]["op_name"],
            ran_on=names.get(event["args"].get("provider", ""), event["args"].get("provider", "")),
            place=(int(event["args"].get("node_index", 0)),),
            start_us=int(event["ts"]),
            elapsed_us=int(event["dur"]),
            nests=event["args"]["op_name"] in _GRAPHS,
        )
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= first_call
    ]
    return tuple(sorted(spans, key=lambda span: (span.start_us, -span.elapsed_us)))


class OnnxSession:
    """An inference session with bound inputs and outputs. Raises `SessionError` for values other than numbers."""

    def __init__(self, library: Any, native: Any, request: RuntimeRequest) -> None:
        self._library, self._native, self._request = library, native, request
        self._errors = _errors()
        _check_types(native)
        self._specs = tuple(_spec(node) for node in native.get_inputs())
        self._types = [np.dtype(TYPES[node.type]) for node in native.get_inputs()]
        self._binding: Any = native.io_binding()
        self._held: list[Any] = []

    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._specs

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        check_inputs(self._specs, arrays)
        try:
            self._bind(arrays)
        except self._errors as error:
            raise run_error(NAME, error) from error

    def invoke(self) -> None:
        try:
            self._native.run_with_iobinding(self._binding)
        except self._errors as error:
            raise run_error(NAME, error) from error

    def outputs(self) -> tuple[Array, ...]:
        return tuple(as_output(np.array(array)) for array in self._binding.copy_outputs_to_cpu())

    def report(self) -> RuntimeReport:
        names = {provider: delegate for delegate, provider in PROVIDERS.items()}
        used = self._native.get_providers()[0]
        return RuntimeReport(
            name=NAME,
            version=self._library.__version__,
            delegate_requested=self._request.delegate,
            delegate_used=names[used].value if used in names else used,
            threads=self._request.threads,
        )

    def close(self) -> None:
        self._held = []
        self._binding = self._native = None

    def _bind(self, arrays: Sequence[Array]) -> None:
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        self._held = []
        for spec, kind, array in zip(self._specs, self._types, arrays, strict=True):
            # Not ascontiguousarray, which makes a vector of a scalar.
            ready = np.array(array, dtype=kind, order="C")
            value = self._library.OrtValue.ortvalue_from_numpy(ready)
            # ONNX Runtime keeps only a pointer to the data, so the array must stay alive.
            self._held += [ready, value]
            self._binding.bind_ortvalue_input(spec.name, value)
        for node in self._native.get_outputs():
            self._binding.bind_output(node.name)


def _options(library: Any, request: RuntimeRequest) -> Any:
    options = library.SessionOptions()
    options.intra_op_num_threads = request.threads
    # The requested threads are for the inside of one operator; operators are not run side by side.
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    for key, value in (_precise() | dict(request.options)).items():
        options.add_session_config_entry(key, value)
    return options


def _precise() -> dict[str, str]:
    return {PRECISE: "1"} if saturates() else {}


def _make(library: Any, path: Path, request: RuntimeRequest, options: Any) -> Any:
    available = library.get_available_providers()
    provider = PROVIDERS.get(request.delegate)
    if provider is None or provider not in available:
        has = [delegate.value for delegate, name in PROVIDERS.items() if name in available]
        raise no_delegate(NAME, request, has)
    try:
        return library.InferenceSession(str(path), options, providers=[provider])
    except _errors() as error:
        if _CONTEXT in str(error):
            raise SessionError(FailureKind.DELEGATE, _compiled(path, request), unsupported=True) from error
        raise load_error(path, NAME, error) from error


def _compiled(path: Path, request: RuntimeRequest) -> str:
    return (
        f"{path.name!r} is compiled for another processor and does not run on the delegate {request.delegate.value}: "
        "run a file of phonebench npu on a phone with its chip, with --delegate qnn"
    )


def _errors() -> tuple[type[Exception], ...]:
    """Return all exceptions of ONNX Runtime. They have no common base class, but are all in one module."""
    state = import_library("onnxruntime.capi.onnxruntime_pybind11_state", extra="onnx")
    own = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*own, *NATIVE_ERRORS)


def _check_types(native: Any) -> None:
    for role, nodes in (("input", native.get_inputs()), ("output", native.get_outputs())):
        for node in nodes:
            if node.type not in TYPES:
                raise no_numbers(role, node.name, node.type)


def _spec(node: Any) -> TensorSpec:
    kind = on_the_wire(np.empty(0, TYPES[node.type])).dtype.name
    shape = tuple(size if isinstance(size, int) else ANY_SIZE for size in node.shape)
    return TensorSpec(name=node.name, dtype=DType(kind), shape=shape)
