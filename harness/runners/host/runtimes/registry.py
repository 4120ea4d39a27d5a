"""The runtimes of the host, one file a format, and two functions for whoever wants to run an artifact once.

The modules import without their runtime; the heavy library comes with `Runtime.import_runtime`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.runners.host.runtimes import onnx, pte, ptl, tflite
from harness.runners.host.runtimes.session import Runtime, Session, SessionError
from harness.wire import FailureKind, Format, OperatorTime, RuntimeRequest
from harness.wire.tensors import Array

Profiler = Callable[[Path, RuntimeRequest, Sequence[Array], int], tuple[OperatorTime, ...]]

RUNTIMES: dict[Format, Runtime] = {
    Format.TFLITE: tflite,
    Format.ONNX: onnx,
    Format.PTE: pte,
    Format.PTL: ptl,
}

# The runtimes that can tell the times of single operators; the released wheels of the others cannot.
PROFILERS: dict[Format, Profiler] = {Format.ONNX: onnx.profile}


def open_session(path: Path, request: RuntimeRequest, format_: Format) -> Session:
    """Import the runtime of ``format_`` and load the artifact at ``path``; close the session when done.

    Raises `SessionError`: kind ``load``, ``delegate``, ``oom``, or ``input`` for options that the runtime lacks.
    """
    runtime = runtime_of(format_)
    runtime.import_runtime(request)
    return runtime.load(path, request)


def runtime_of(format_: Format) -> Runtime:
    """Return the runtime of ``format_``. Raises `SessionError`, as unsupported, for one that no host runs."""
    if format_ not in RUNTIMES:
        has = ", ".join(known.value for known in RUNTIMES)
        msg = f"this host has no runtime for {format_.value} (it has those of: {has})"
        raise SessionError(FailureKind.LOAD, msg, unsupported=True)
    return RUNTIMES[format_]


def run_once(session: Session, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return the outputs for one call's inputs, given in the model's order. Raises `SessionError`."""
    session.set_inputs(arrays)
    session.invoke()
    return session.outputs()
