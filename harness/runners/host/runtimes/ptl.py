"""PyTorch's lite interpreter runs ``.ptl``, on the CPU only. It does not report the shapes of the inputs.

The types of the inputs are in a file inside the archive if phonebench exported it. Without that file, inputs are passed
with the types they have.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.runners.host.runtimes.session import (
    NATIVE_ERRORS,
    Profiled,
    SecondEngine,
    SessionError,
    call_time,
    import_library,
    load_error,
    no_delegate,
    refuse_options,
    run_error,
)
from harness.wire import Delegate, FailureKind, OperatorTime, ProfileFacts, RuntimeReport, RuntimeRequest, TensorSpec
from harness.wire.tensors import Array, as_output

NAME = "torchscript-lite"
TITLE = "TorchScript"
_QUANTISED_ENGINE = "qnnpack"
_SECOND_ENGINE = "onednn"
# Marks each call in a profile, whose events do not say which call they belong to.
_CALL = "phonebench call"
# Where the exporter puts the element types of the inputs, a JSON list, below the archive's top folder.
INPUT_TYPES = "/extra/input_types.json"


def import_runtime(request: RuntimeRequest) -> None:
    """Import PyTorch, and set its threads and the engine that int8 files for phones are made for."""
    refuse_options(request, TITLE)
    torch: Any = import_library("torch", extra="torch")
    torch.set_num_threads(request.threads)
    if _QUANTISED_ENGINE in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = _QUANTISED_ENGINE


def load(path: Path, request: RuntimeRequest) -> PtlSession:
    """Load the file with the lite interpreter."""
    return PtlSession(_module(path, request), request, _input_types(path))


def _module(path: Path, request: RuntimeRequest) -> Any:
    if request.delegate is not Delegate.CPU:
        raise no_delegate(TITLE, request, [Delegate.CPU.value])
    mobile: Any = import_library("torch.jit.mobile", extra="torch")
    try:
        with warnings.catch_warnings():
            # The format is deprecated, as users of .ptl know.
            warnings.simplefilter("ignore")
            return mobile._load_for_lite_interpreter(str(path))
    except NATIVE_ERRORS as error:
        raise load_error(path, TITLE, error) from error


def profile(path: Path, request: RuntimeRequest, arrays: Sequence[Array], calls: int) -> Profiled:
    """Time every operator over ``calls`` calls with PyTorch's profiler. Raises `SessionError`.

    A lite module has no names for its operators, so they are numbered in the order in which they run.
    """
    torch: Any = import_library("torch", extra="torch")
    session = load(path, request)
    session.set_inputs(arrays)
    session.invoke()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        calls_ns = []
        for _ in range(calls):
            with torch.profiler.record_function(_CALL):
                calls_ns.append(call_time(session))
    marks = [event for event in profiled.events() if event.name == _CALL]
    samples: dict[tuple[int, str], list[int]] = {}
    for at, event in (numbered for mark in marks for numbered in enumerate(mark.cpu_children)):
        samples.setdefault((at, event.name), []).append(round(1000 * event.time_range.elapsed_us()))
    times = tuple(
        OperatorTime(name=str(at), kind=kind, samples_ns=tuple(ns), ran_on=Delegate.CPU.value)
        for (at, kind), ns in sorted(samples.items())
    )
    return Profiled(operators=times, facts=ProfileFacts(source=f"torch {torch.__version__}", calls_ns=tuple(calls_ns)))


class PtlSession:
    """A module of the lite interpreter."""

    def __init__(self, module: Any, request: RuntimeRequest, input_types: Sequence[str]) -> None:
        self._module: Any = module
        self._input_types = input_types
        self._request = request
        self._tensors: list[Any] = []
        self._result: Any = None

    def inputs(self) -> tuple[TensorSpec, ...] | None:
        return None

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        import torch

        types = self._input_types if len(self._input_types) == len(arrays) else [a.dtype.name for a in arrays]
        self._tensors = [
            torch.from_numpy(np.array(array, order="C")).to(getattr(torch, kind))
            for array, kind in zip(arrays, types, strict=True)
        ]

    def invoke(self) -> None:
        try:
            self._result = self._module(*self._tensors)
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error

    def outputs(self) -> tuple[Array, ...]:
        return tuple(as_output(_values(tensor)) for tensor in _flat(self._result))

    def report(self) -> RuntimeReport:
        import torch

        return RuntimeReport(
            name=NAME,
            version=str(torch.__version__),
            delegate_requested=self._request.delegate,
            delegate_used=Delegate.CPU.value,
            threads=self._request.threads,
        )

    def close(self) -> None:
        self._module = self._result = None
        self._tensors = []


class _OneDnnSession(PtlSession):
    """The same module on the engine for x86. Weights are packed for an engine at load, and some operators ask again."""

    def invoke(self) -> None:
        with _engine(_SECOND_ENGINE):
            super().invoke()


@contextmanager
def _engine(name: str) -> Iterator[None]:
    import torch

    usual = torch.backends.quantized.engine
    torch.backends.quantized.engine = name
    try:
        yield
    finally:
        torch.backends.quantized.engine = usual


def _load_onednn(path: Path, request: RuntimeRequest) -> PtlSession:
    with _engine(_SECOND_ENGINE):
        return _OneDnnSession(_module(path, request), request, _input_types(path))


def _has_onednn(_: RuntimeRequest) -> bool:
    import torch

    return _SECOND_ENGINE in torch.backends.quantized.supported_engines


SECOND_ENGINES = (SecondEngine(name=f"the engine {_SECOND_ENGINE}", load=_load_onednn, applies=_has_onednn),)


def _input_types(path: Path) -> tuple[str, ...]:
    """The types that the exporter wrote; empty for files of other tools. Raises `ValueError` if they are damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((name for name in archive.namelist() if name.endswith(INPUT_TYPES)), None)
            return tuple(json.loads(archive.read(member))) if member else ()
    except zipfile.BadZipFile:
        return ()


def _values(tensor: Any) -> Array:
    """A copy of the values. Numpy has neither quantised tensors nor bfloat16, so those become float32."""
    plain = tensor.detach()
    if plain.is_quantized:
        plain = plain.dequantize()
    if str(plain.dtype) == "torch.bfloat16":
        plain = plain.float()
    values: Array = plain.numpy().copy()
    return values


def _no_tensor(value: Any) -> SessionError:
    msg = f"an output of the model is a {type(value).__name__}, which phonebench does not support: return tensors only"
    return SessionError(FailureKind.RUN, msg, unsupported=True)


def _flat(result: Any) -> list[Any]:
    """The tensors of a result, in order. A result is a tensor, a tuple or list of results, or a mapping of them."""
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, tuple | list):
        return [tensor for item in result for tensor in _flat(item)]
    if not hasattr(result, "detach"):
        raise _no_tensor(result)
    return [result]
