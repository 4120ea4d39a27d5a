"""LiteRT's GPU delegate runs ``.tflite`` through WebGPU, which is Vulkan on Linux and Metal on a Mac.

The interpreter that runs the other delegates cannot load it, but LiteRT's compiled models can. What the delegate does
not take runs on the CPU. Which GPU it is, and what it did not take and why, is only in what the library prints.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.runners.host.runtimes import tflite
from harness.runners.host.runtimes.native_log import heard
from harness.runners.host.runtimes.session import (
    NATIVE_ERRORS,
    Profiled,
    SessionError,
    check_inputs,
    import_library,
    library_version,
    run_error,
)
from harness.runners.host.vulkan import NoVulkanError, prepare_vulkan
from harness.wire import (
    Accelerator,
    Delegate,
    FailureKind,
    NodesLeft,
    OperatorTime,
    ProfileFacts,
    RuntimeReport,
    RuntimeRequest,
    TensorSpec,
)
from harness.wire.tensors import Array

_ADAPTER = re.compile(r"Selected adapter: (?P<name>.*?), arch=.*adapterType=(?P<type>[^\n]*)")
_COUNTS = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations will run on the CPU")
_NONE_TAKEN = re.compile(r"No operations will run on the GPU, and all (\d+) operations will run on the CPU")
_REFUSED = re.compile(
    r"Following operations are not supported by GPU delegate:\n(?P<lines>(?:[^\n]+\n)*?)(?:\d+|No) operations will run"
)
# WebGPU's word for an adapter that is no hardware.
_SOFTWARE = "CPU"
_NO_ADAPTER = "No adapters found"
_OUTSIDE = "the delegate takes one connected part of the graph, and this is outside of it"
_NO_PROFILER = "LiteRT's GPU delegate has no profiler, so the operators have no times"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which GPU a model was compiled for, and what the delegate took: ``taken`` of ``total`` nodes."""

    accelerator: Accelerator | None
    total: int
    taken: int
    left: tuple[NodesLeft, ...] = ()


def load(path: Path, request: RuntimeRequest) -> GpuSession:
    """Compile the file for the GPU. Raises `SessionError`, marked unsupported, if there is none or it refuses."""
    library: Any = import_library("ai_edge_litert.compiled_model", extra="tflite")
    try:
        in_software = prepare_vulkan()
    except NoVulkanError as error:
        raise SessionError(FailureKind.DELEGATE, str(error), unsupported=True) from error
    # The compiled model does not tell how its tensors are quantised, and the interpreter does.
    described = tflite.describe(path, request)
    try:
        with heard() as said:
            accelerators = library.HardwareAccelerator.GPU | library.HardwareAccelerator.CPU
            model = _compile(library, path, accelerators, request.threads)
    except NATIVE_ERRORS as error:
        raise _refusal(path, said.text, error) from error
    kinds = described.node_kinds()
    placement = read_placement(said.text, kinds)
    if placement.accelerator is None and placement.taken == len(kinds):
        _check_gpu(library, path, request.threads)
    if placement.accelerator is None and in_software:
        # A version of LiteRT that does not name the adapter must not pass it off as a GPU.
        placement = replace(placement, accelerator=Accelerator(name="the driver of a browser", software=True))
    return GpuSession(model, described, request, placement)


def _compile(library: Any, path: Path, accelerators: Any, threads: int) -> Any:
    cpu = library.CpuOptions(num_threads=threads)
    options = library.Options(hardware_accelerators=accelerators, cpu_options=cpu)
    return library.CompiledModel.from_file(str(path), options=options)


def _check_gpu(library: Any, path: Path, threads: int) -> None:
    """Raise `SessionError` unless the model also compiles for the GPU alone.

    A package without a GPU delegate compiles for the CPU and prints nothing that would show it.
    """
    try:
        _compile(library, path, library.HardwareAccelerator.GPU, threads)
    except NATIVE_ERRORS as error:
        msg = "this package of ai-edge-litert did not use a GPU and does not say why: install one for this system"
        raise SessionError(FailureKind.DELEGATE, msg, str(error), unsupported=True) from error


def read_placement(said: str, kinds: Sequence[str]) -> Placement:
    """Return what the library said of the GPU and of the nodes, whose types in the file are ``kinds``."""
    adapter, counts, none = _ADAPTER.search(said), _COUNTS.search(said), _NONE_TAKEN.search(said)
    accelerator = None
    if adapter is not None:
        accelerator = Accelerator(name=adapter["name"], software=adapter["type"].strip().startswith(_SOFTWARE))
    if counts is None and none is None:
        return Placement(accelerator=accelerator, total=len(kinds), taken=len(kinds))
    taken, rest = (int(counts[1]), int(counts[2])) if counts else (0, int(none[1]) if none else 0)
    return Placement(accelerator=accelerator, total=taken + rest, taken=taken, left=_left(said, kinds, rest))


def _left(said: str, kinds: Sequence[str], rest: int) -> tuple[NodesLeft, ...]:
    """The nodes that stay on the CPU: those of refused types with the reason, then the others."""
    refused = _REFUSED.search(said)
    lines = refused["lines"].splitlines() if refused else []
    reasons = {kind.strip(): reason.strip() for kind, _, reason in (line.partition(":") for line in lines)}
    counts = Counter(kind for kind in kinds if kind in reasons)
    left: list[NodesLeft] = []
    for kind, reason in reasons.items():
        # Of a type that is refused for some of its nodes only, not more can stay than there are left.
        nodes = min(counts[kind], rest)
        left += [NodesLeft(kind=kind, nodes=nodes, reason=reason)] if nodes else []
        rest -= nodes
    return (*left, *([NodesLeft(kind="other", nodes=rest, reason=_OUTSIDE)] if rest else []))


def _refusal(path: Path, said: str, error: Exception) -> SessionError:
    """Return the error for a model that could not be compiled, with the reason that the library printed."""
    if _NO_ADAPTER in said:
        msg = (
            "Vulkan offers no GPU here that LiteRT can use: install the driver of the GPU, or set VK_DRIVER_FILES to "
            "the driver that Chromium brings (vk_swiftshader_icd.json), which computes on the processor"
        )
        return SessionError(FailureKind.DELEGATE, msg, said[-4000:], unsupported=True)
    refused = _REFUSED.search(said)
    reasons = "; ".join(refused["lines"].split("\n")).strip("; ") if refused else _last_errors(said)
    msg = f"LiteRT cannot compile {path.name!r} for the GPU: {reasons or error}"
    return SessionError(FailureKind.DELEGATE, msg, said[-4000:], unsupported=True)


def _last_errors(said: str) -> str:
    """The last two lines that the library called errors: the first of them mostly has the cause."""
    errors = [line.partition("ERROR:")[2] for line in said.splitlines() if line.startswith("ERROR:")]
    plain = [re.sub(r"^\s*\[[^\]]*\]\s*", "", line).strip(" .") for line in errors]
    return "; ".join([line for line in plain if line][-2:])


class GpuSession:
    """A compiled model. A call runs it and reads its outputs, because a GPU works on after the run has returned."""

    def __init__(
        self, model: Any, described: tflite.TfliteSession, request: RuntimeRequest, placement: Placement
    ) -> None:
        self._model: Any = model
        self._described, self._request, self._placement = described, request, placement
        self._key = next(iter(model.get_signature_list()))
        signature = model.get_signature_list()[self._key]
        self._input_names, self._output_names = signature["inputs"], signature["outputs"]
        self._input_details, self._output_details = described.details()
        self._buffers: tuple[list[Any], list[Any]] = ([], [])
        self._reads: list[tuple[int, Any]] = []
        self._results: list[Array] = []

    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._described.inputs()

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        check_inputs(self.inputs(), arrays)
        stored = {
            int(detail["index"]): tflite.quantise(array, detail)
            for detail, array in zip(self._input_details, arrays, strict=True)
        }
        try:
            self._allocate(stored)
        except NATIVE_ERRORS as error:
            raise run_error(tflite.TITLE, error) from error

    def invoke(self) -> None:
        inputs, outputs = self._buffers
        try:
            self._model.run_by_index(0, inputs, outputs)
            self._results = [
                buffer.read(count, kind) for buffer, (count, kind) in zip(outputs, self._reads, strict=True)
            ]
        except NATIVE_ERRORS as error:
            raise run_error(tflite.TITLE, error) from error

    def outputs(self) -> tuple[Array, ...]:
        tensors = self._model.get_output_tensor_details(self._key)
        by_index = {
            int(tensors[name]["index"]): result.reshape(tensors[name]["shape"])
            for name, result in zip(self._output_names, self._results, strict=True)
        }
        return tuple(tflite.dequantise(by_index[int(detail["index"])], detail) for detail in self._output_details)

    def report(self) -> RuntimeReport:
        placement = self._placement
        return RuntimeReport(
            name=tflite.NAME,
            version=library_version("ai-edge-litert"),
            delegate_requested=self._request.delegate,
            delegate_used=(Delegate.GPU if placement.taken else Delegate.CPU).value,
            threads=self._request.threads,
            nodes_total=placement.total,
            nodes_delegated=placement.taken,
            accelerator=placement.accelerator if placement.taken else None,
            nodes_left=placement.left,
        )

    def close(self) -> None:
        for buffer in (*self._buffers[0], *self._buffers[1]):
            buffer.destroy()
        self._buffers, self._results = ([], []), []
        self._described.close()
        if self._model is not None:
            self._model.close()
        self._model = None

    def _allocate(self, stored: dict[int, Array]) -> None:
        """Make buffers of the size of the inputs, and fill those."""
        tensors = self._model.get_input_tensor_details(self._key)
        arrays = [stored[int(tensors[name]["index"])] for name in self._input_names]
        for at, (name, array) in enumerate(zip(self._input_names, arrays, strict=True)):
            if tuple(tensors[name]["shape"]) != array.shape:
                self._model.resize_input_tensor(at, array.shape, strict=False)
        self._buffers = (self._model.create_input_buffers(0), self._model.create_output_buffers(0))
        for buffer, array in zip(self._buffers[0], arrays, strict=True):
            buffer.write(array)
        kinds = {int(detail["index"]): np.dtype(detail["dtype"]) for detail in self._output_details}
        outputs = self._model.get_output_tensor_details(self._key)
        self._reads = [
            (int(np.prod(outputs[name]["shape"])), kinds[int(outputs[name]["index"])]) for name in self._output_names
        ]


def profile(path: Path, request: RuntimeRequest) -> Profiled:
    """List what the delegate left, without times: with LiteRT's profiler on, a call on the GPU fails.

    It prints "Profile is not implemented" then (LiteRT 2.3).
    """
    session = load(path, request)
    report = session.report()
    session.close()
    taken = report.nodes_delegated or 0
    delegated = [OperatorTime(name="", kind="GPU", samples_ns=(), ran_on=Delegate.GPU.value, nodes=taken)]
    left = [
        OperatorTime(
            name="", kind=part.kind, samples_ns=(), ran_on=Delegate.CPU.value, reason=part.reason, nodes=part.nodes
        )
        for part in report.nodes_left
    ]
    facts = ProfileFacts(source=f"{report.name} {report.version}", reason=_NO_PROFILER)
    return Profiled(operators=tuple((delegated if taken else []) + left), facts=facts)
