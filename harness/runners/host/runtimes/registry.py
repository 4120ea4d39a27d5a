"""The runtimes of the host by format, and two functions to run an artifact once.

The modules can be imported without their libraries, which `HostRuntime.import_runtime` imports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.runners.host.runtimes import genai, gguf, litert, litertlm, onnx, pte, pte_language, ptl
from harness.runners.host.runtimes.language import LanguageRuntime, LanguageSession
from harness.runners.host.runtimes.session import HostRuntime, Profiled, SecondEngine, Session, SessionError
from harness.wire import FailureKind, Format, RuntimeRequest
from harness.wire.tensors import Array

Profiler = Callable[[Path, RuntimeRequest, Sequence[Array], int], Profiled]

RUNTIMES: dict[Format, HostRuntime] = {
    Format.TFLITE: litert,
    Format.ONNX: onnx,
    Format.PTE: pte,
    Format.PTL: ptl,
}

# What runs the language models of a format.
LANGUAGE_RUNTIMES: dict[Format, LanguageRuntime] = {
    Format.GENAI: genai,
    Format.PTE: pte_language,
    Format.LITERTLM: litertlm,
    Format.GGUF: gguf,
}

# Other kernels of the same runtime, tried in this order on a file that gives wrong outputs. They tell a wrong file from
# a wrong kernel of this computer.
SECOND_ENGINES: dict[Format, tuple[SecondEngine, ...]] = {
    Format.TFLITE: litert.SECOND_ENGINES,
    Format.ONNX: onnx.SECOND_ENGINES,
    Format.PTL: ptl.SECOND_ENGINES,
}

# What times the single operators of a file, or says why it cannot.
PROFILERS: dict[Format, Profiler] = {
    Format.TFLITE: litert.profile,
    Format.ONNX: onnx.profile,
    Format.PTE: pte.profile,
    Format.PTL: ptl.profile,
}


def open_session(path: Path, request: RuntimeRequest, format_: Format) -> Session:
    """Import the runtime of ``format_`` and load the artifact at ``path``. Close the session after use.

    Raises `SessionError` of kind ``load``, ``delegate``, ``oom``, or ``input`` for options that the runtime does not
    have.
    """
    runtime = runtime_of(format_)
    runtime.import_runtime(request)
    return runtime.load(path, request)


def open_language(path: Path, request: RuntimeRequest, format_: Format) -> LanguageSession:
    """Do the same for a language model."""
    runtime = language_runtime_of(format_)
    runtime.import_runtime(request)
    return runtime.load(path, request)


def language_runtime_of(format_: Format) -> LanguageRuntime:
    """Return what runs language models of ``format_``. Raises `SessionError`, marked unsupported, if nothing does."""
    if format_ not in LANGUAGE_RUNTIMES:
        formats = ", ".join(format_.value for format_ in LANGUAGE_RUNTIMES)
        msg = f"this host has no runtime for language models of {format_.value} (it has those for: {formats})"
        raise SessionError(FailureKind.LOAD, msg, unsupported=True)
    return LANGUAGE_RUNTIMES[format_]


def runtime_of(format_: Format) -> HostRuntime:
    """Return the runtime of ``format_``. Raises `SessionError`, marked unsupported, if the host has none for it."""
    if format_ not in RUNTIMES:
        formats = ", ".join(format_.value for format_ in RUNTIMES)
        msg = f"this host has no runtime for {format_.value} (it has those for: {formats})"
        raise SessionError(FailureKind.LOAD, msg, unsupported=True)
    return RUNTIMES[format_]


def run_once(session: Session, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return the outputs for the inputs of one call, given in the model's order. Raises `SessionError`."""
    session.set_inputs(arrays)
    session.invoke()
    return session.outputs()
