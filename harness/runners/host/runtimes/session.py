"""What a runtime provides to the runner: how to load a model, the loaded model, and the one error that both raise.

Import and load are separate phases, because the memory of the runtime itself is read between them.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Protocol

from harness.wire import (
    Delegate,
    DType,
    FailureKind,
    NodesLeft,
    OperatorTime,
    ProfileFacts,
    RuntimeReport,
    RuntimeRequest,
    TensorSpec,
)
from harness.wire.tensors import Array

# What the native bindings of the runtimes raise. ONNX Runtime adds classes of its own.
NATIVE_ERRORS: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, IndexError, KeyError, OSError)

ANY_SIZE = -1


class SessionError(Exception):
    """A model that cannot be loaded or run.

    ``unsupported``: this build of the runtime cannot do what was requested, which is a result rather than a fault.
    """

    def __init__(self, kind: FailureKind, message: str, detail: str = "", *, unsupported: bool = False) -> None:
        self.kind, self.message, self.detail, self.unsupported = kind, message, detail, unsupported
        super().__init__(message)


class Session(Protocol):
    """A loaded model. All methods raise `SessionError`; only `invoke` is timed."""

    def inputs(self) -> tuple[TensorSpec, ...] | None:
        """Return the logical inputs, or None if unknown. A quantised input is float32, an open dimension -1."""

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        """Take the inputs of one call, in the model's order. Casting and quantising happen here, untimed."""

    def invoke(self) -> None:
        """Run the model once on the inputs that were set."""

    def outputs(self) -> tuple[Array, ...]:
        """Return copies of the outputs of the last call, dequantised to float32."""

    def report(self) -> RuntimeReport:
        """Return what the runtime is and what it actually runs on."""

    def close(self) -> None:
        """Release the model."""


class HostRuntime(Protocol):
    """A runtime. Each sibling module is one."""

    def import_runtime(self, request: RuntimeRequest) -> None:
        """Import the library and make the settings that hold for the whole process. Raises `SessionError`."""

    def load(self, path: Path, request: RuntimeRequest) -> Session:
        """Load the artifact. Raises `SessionError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondEngine:
    """Other kernels of a runtime. ``load`` works like that of the runtime, which has been imported already.

    ``applies`` returns False for a request that these kernels serve anyway, or that they cannot serve. ``most_inputs``
    limits what is run with slow ones.
    """

    name: str
    load: Callable[[Path, RuntimeRequest], Session]
    applies: Callable[[RuntimeRequest], bool]
    most_inputs: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """What a profile pass gave: the operators in the order in which they first ran, and how they were timed."""

    operators: tuple[OperatorTime, ...]
    facts: ProfileFacts


def call_times(session: Session, calls: int) -> tuple[int, ...]:
    """Run ``session`` once, because a first call allocates memory, and then ``calls`` times; return the latter in ns.

    Raises `SessionError`.
    """
    session.invoke()
    return tuple(call_time(session) for _ in range(calls))


def call_time(session: Session) -> int:
    """Return the time of one call in ns. Raises `SessionError`."""
    start = time.perf_counter_ns()
    session.invoke()
    return time.perf_counter_ns() - start


def left_by_type(kinds: Iterable[str]) -> tuple[NodesLeft, ...]:
    """Return the nodes that a delegate did not take, given by their types, the most frequent type first."""
    return tuple(NodesLeft(kind=kind, nodes=nodes) for kind, nodes in Counter(kinds).most_common())


def import_library(module: str, *, extra: str) -> ModuleType:
    """Import a runtime's library. Raises `SessionError`, marked unsupported, with the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"the runtime needs {module!r}, which cannot be imported; run: pip install 'phonebench[{extra}]'"
        raise SessionError(FailureKind.LOAD, msg, str(error), unsupported=True) from error


def library_version(package: str) -> str:
    """Return the version of an installed package, or ``unknown`` if it was built without metadata."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def cpu_report(name: str, version: str, request: RuntimeRequest) -> RuntimeReport:
    """Return the report of a runtime that runs everything on the processor and counts no nodes."""
    return RuntimeReport(
        name=name,
        version=version,
        delegate_requested=request.delegate,
        delegate_used=Delegate.CPU.value,
        threads=request.threads,
    )


def refuse_options(request: RuntimeRequest, runtime: str) -> None:
    """Raise `SessionError` if the request has options for a runtime that takes none."""
    if request.options:
        msg = f"{runtime} takes no options here, but the request has {sorted(request.options)}: remove them"
        raise SessionError(FailureKind.INPUT, msg)


def no_delegate(runtime: str, request: RuntimeRequest, has: Sequence[str]) -> SessionError:
    """Return the error for a delegate that this build of the runtime does not have."""
    offered = ", ".join(sorted(has))
    msg = f"this build of {runtime} has no {request.delegate.value} delegate on this host (it has: {offered})"
    return SessionError(FailureKind.DELEGATE, msg, unsupported=True)


def no_numbers(role: str, name: str, kind: str) -> SessionError:
    """Return the error for the input or output (``role``) ``name`` that is no tensor of numbers but a ``kind``."""
    msg = f"{role} {name!r} of the model is {kind}, which phonebench does not support: it must be a tensor of numbers"
    return SessionError(FailureKind.LOAD, msg, unsupported=True)


def load_error(path: Path, runtime: str, error: Exception) -> SessionError:
    """Return the error for an artifact that its runtime cannot load."""
    kind = FailureKind.OOM if "bad_alloc" in str(error) else FailureKind.LOAD
    return SessionError(kind, f"{runtime} cannot load {path.name!r}: {_first_line(error)}", str(error))


def run_error(runtime: str, error: Exception) -> SessionError:
    """Return the error for a call that failed."""
    kind = FailureKind.OOM if "bad_alloc" in str(error) else FailureKind.RUN
    return SessionError(kind, f"{runtime} failed during a call: {_first_line(error)}", str(error))


def check_inputs(specs: Sequence[TensorSpec], arrays: Sequence[Array]) -> None:
    """Raise `SessionError` of kind ``input`` unless the arrays match the model's inputs in number, shape and kind."""
    if len(specs) != len(arrays):
        msg = f"the model has {len(specs)} inputs but got {len(arrays)}: correct [[input]] in model.toml"
        raise SessionError(FailureKind.INPUT, msg)
    for spec, array in zip(specs, arrays, strict=True):
        fits = len(spec.shape) == array.ndim and all(
            want in (ANY_SIZE, got) for want, got in zip(spec.shape, array.shape, strict=True)
        )
        if not fits or _kind(spec.dtype.value) != _kind(array.dtype.name):
            msg = (
                f"input {spec.name!r} of the model is {spec.dtype.value} {list(spec.shape)}, "
                f"but got {array.dtype.name} {list(array.shape)}: correct [[input]] in model.toml"
            )
            raise SessionError(FailureKind.INPUT, msg)


def in_model_order(session: Session, names: Sequence[str], arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return ``arrays``, which have ``names``, in the model's order: by name if all names match, else as they are."""
    model_names = [spec.name for spec in session.inputs() or ()]
    if sorted(model_names) != sorted(names) or len(set(names)) != len(names):
        return tuple(arrays)
    return tuple(arrays[names.index(name)] for name in model_names)


def _kind(dtype: str) -> str:
    """Casts within one kind are harmless: floats, integers, booleans."""
    return {"float32": "float", "float16": "float", DType.BOOL.value: "bool"}.get(dtype, "int")


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    # Native errors begin with the source location and end with the cause, so both ends are kept.
    return f"{line[:100]} … {line[-200:]}" if len(line) > 300 else line
