"""ExecuTorch runs ``.pte``. The backend was fixed at export: the file decides what runs, whatever is requested.

A call sets the inputs, executes, and fetches views of the outputs, as the module API on phones does. Executing alone
would be wrong: the memory plan of a program may reuse the memory of the inputs, so a second run would read garbage.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.runners.host.runtimes.session import (
    NATIVE_ERRORS,
    Profiled,
    SessionError,
    check_inputs,
    import_library,
    left_by_type,
    library_version,
    load_error,
    refuse_options,
    run_error,
)
from harness.wire import (
    Delegate,
    DType,
    FailureKind,
    OperatorTime,
    ProfileFacts,
    RuntimeReport,
    RuntimeRequest,
    TensorSpec,
)
from harness.wire.tensors import Array, as_output

if TYPE_CHECKING:
    from harness.readers.pte import PteFacts

NAME = "executorch"
TITLE = "ExecuTorch"
METHOD = "forward"

# ExecuTorch's ScalarType, which has the numbers of PyTorch's.
_SCALARS: dict[int, DType] = {
    0: DType.UINT8,
    1: DType.INT8,
    2: DType.INT16,
    3: DType.INT32,
    4: DType.INT64,
    5: DType.FLOAT16,
    6: DType.FLOAT32,
    11: DType.BOOL,
}


def import_runtime(request: RuntimeRequest) -> None:
    """Import the bindings with the quantised kernels, and set the size of the thread pool before anything is loaded."""
    refuse_options(request, TITLE)
    bindings = library()
    # Registers the kernels that int8 programs need for operators that XNNPACK did not take.
    import_library("executorch.kernels.quantized", extra="torch")
    _set_threads(bindings, request.threads)


def load(path: Path, request: RuntimeRequest) -> PteSession:
    """Load the program and its method, which is when a delegate prepares its data."""
    bindings = library()
    facts = checked_facts(path)
    try:
        program = bindings._load_program(str(path))
        return PteSession(program, program.load_method(METHOD), request, facts)
    except NATIVE_ERRORS as error:
        raise load_error(path, TITLE, error) from error


def checked_facts(path: Path) -> PteFacts:
    """Return what the file says of its backends. Raises `SessionError` for one that this build does not have."""
    # A job of another format does not pay for it.
    from harness.readers.pte import read_pte

    facts, bindings = read_pte(path), library()
    missing = [name for name in facts.backends if not bindings._is_available(name)]
    if missing:
        msg = f"{path.name!r} is lowered to {missing[0]!r}, which this build of ExecuTorch does not have"
        raise SessionError(FailureKind.DELEGATE, msg, unsupported=True)
    return facts


def profile(path: Path, request: RuntimeRequest, arrays: Sequence[Array], calls: int) -> Profiled:  # noqa: ARG001
    """List the program's calls without times: the released packages of ExecuTorch are built without its event tracer.

    With ``enable_etdump`` they print that they must be rebuilt, and write no file (executorch 1.4.1).
    """
    from harness.readers.pte import delegate_name, read_pte

    operators = tuple(
        OperatorTime(
            name=str(at),
            kind=call.name,
            samples_ns=(),
            ran_on=delegate_name(call.name) if call.backend else Delegate.CPU.value,
            nodes=call.nodes or 1,
        )
        for at, call in enumerate(read_pte(path).calls)
    )
    facts = ProfileFacts(source=f"{NAME} {library_version('executorch')}", reason=_NO_TRACER)
    return Profiled(operators=operators, facts=facts)


def report_of(facts: PteFacts, request: RuntimeRequest) -> RuntimeReport:
    """Return what a program runs on. The file fixes it, so it is read there."""
    left = left_by_type(call.name for call in facts.calls if not call.backend) if facts.backends else ()
    return RuntimeReport(
        name=NAME,
        version=library_version("executorch"),
        delegate_requested=request.delegate,
        delegate_used=facts.delegate_used,
        threads=request.threads,
        nodes_total=facts.nodes_total,
        nodes_delegated=facts.nodes_delegated,
        partitions=facts.partitions,
        nodes_left=left,
    )


_NO_TRACER = (
    "the released package of ExecuTorch has no event tracer, so the operators have no times; a build with "
    "EXECUTORCH_ENABLE_EVENT_TRACER has one"
)


class PteSession:
    """A program with its method ``forward`` loaded."""

    def __init__(self, program: Any, method: Any, request: RuntimeRequest, facts: PteFacts) -> None:
        self._program, self._method, self._request, self._facts = program, method, request, facts
        self._specs = _specs(method.method_meta())
        self._tensors: list[Any] = []
        self._results: Sequence[Any] = ()
        keep_alive(self)

    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._specs

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        import torch

        check_inputs(_narrowed(self._specs, arrays, self._facts.bounded), arrays)
        self._tensors = [
            torch.from_numpy(np.array(array, dtype=spec.dtype.value, order="C"))
            for spec, array in zip(self._specs, arrays, strict=True)
        ]

    def invoke(self) -> None:
        try:
            self._results = self._method.call(self._tensors, False)
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error

    def outputs(self) -> tuple[Array, ...]:
        return tuple(as_output(tensor.detach().numpy().copy()) for tensor in self._results)

    def report(self) -> RuntimeReport:
        return report_of(self._facts, self._request)

    def close(self) -> None:
        self._results, self._tensors = (), []
        self._method = self._program = None
        let_go(self)


# Sessions that hold a program. While there is one, the thread pool must not be replaced.
_LIVE: weakref.WeakSet[object] = weakref.WeakSet()


def keep_alive(session: object) -> None:
    """Note that ``session`` holds a program."""
    _LIVE.add(session)


def let_go(session: object) -> None:
    """Note that ``session`` has released its program."""
    _LIVE.discard(session)


def library() -> Any:
    """Import the native bindings. The public module next to them would import the whole exporter."""
    import_library("torch", extra="torch")
    return import_library("executorch.extension.pybindings._portable_lib", extra="torch")


def _set_threads(bindings: Any, threads: int) -> None:
    """Set the size of the thread pool.

    Replacing the pool under a loaded program is a race in ExecuTorch, so that is refused.
    """
    if bindings._threadpool_get_thread_count() == threads:
        return
    if _LIVE:
        msg = f"ExecuTorch cannot change to {threads} threads while a program is loaded: close that session first"
        raise SessionError(FailureKind.LOAD, msg)
    bindings._unsafe_reset_threadpool(threads)


def _narrowed(specs: Sequence[TensorSpec], arrays: Sequence[Array], bounded: Sequence[bool]) -> tuple[TensorSpec, ...]:
    """The inputs with the sizes of ``arrays`` where these are smaller and the program allows that."""
    if not len(specs) == len(arrays) == len(bounded):
        return tuple(specs)
    return tuple(
        replace(spec, shape=tuple(map(min, spec.shape, array.shape)))
        if smaller and array.ndim == len(spec.shape)
        else spec
        for spec, array, smaller in zip(specs, arrays, bounded, strict=True)
    )


def _specs(meta: Any) -> tuple[TensorSpec, ...]:
    """The logical inputs. Sizes are upper bounds if the program takes smaller inputs too."""
    infos = [meta.input_tensor_meta(index) for index in range(meta.num_inputs())]
    return tuple(
        TensorSpec(name=f"input_{index}", dtype=_SCALARS[int(info.dtype())], shape=tuple(info.sizes()))
        for index, info in enumerate(infos)
    )
