"""LiteRT's C library, called for the one thing that its Python package does not offer: the time of each operator.

The wheel of ``ai-edge-litert`` ships the library with its complete C interface (``litert/c/*.h`` in LiteRT 2). Only
structures that these headers call stable are used, and the one of an event, which is checked against what it must say.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.wire.tensors import Array

# LiteRtHwAccelerators, LiteRtTensorBufferLockMode.
_ON_CPU = 1
_TO_WRITE = 1
# LiteRtProfilerEventType: a kernel of LiteRT, an operator inside a delegate, one that a delegate reports as a node.
KERNEL, INSIDE_DELEGATE, DELEGATE_NODE = 2, 4, 8
_TYPES = tuple(1 << bit for bit in range(9))
# The profiler keeps as many events and then overwrites the oldest.
_MOST_EVENTS = 10 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One span of a call. ``node`` counts within ``graph``."""

    tag: str
    type: int
    node: int
    graph: int
    start_us: int
    elapsed_us: int


class EventData(ctypes.Structure):
    """``ProfiledEventData``. The text belongs to the profiler."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("node", ctypes.c_uint64),
        ("graph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class _Layout(ctypes.Structure):
    """``LiteRtLayout``: ``rank`` has the number of dimensions in its lowest seven bits."""

    _fields_ = (("rank", ctypes.c_uint32), ("sizes", ctypes.c_int32 * 8), ("strides", ctypes.c_uint32 * 8))


class _TensorType(ctypes.Structure):
    """``LiteRtRankedTensorType``."""

    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


# The library frees a payload by calling this. Ours belongs to Python, so there is nothing to free.
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)


class ProfiledModel:
    """A model compiled for the CPU with the profiler on.

    ``kernels`` is ``delegate`` for XNNPACK, ``builtin`` for LiteRT's own kernels. Everything is released by `close`.
    Raises `OSError` if the package has no such library, `AttributeError` if the library lacks a function, and
    `RuntimeError` if a call fails.
    """

    def __init__(self, path: Path, *, kernels: str, threads: int) -> None:
        self._library = ctypes.CDLL(str(_library_file()))
        self._held = ExitStack()
        self._texts: list[Any] = []
        try:
            self._compile(path, kernels, threads)
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        """Release the model and its buffers."""
        self._held.close()

    def set_inputs(self, arrays: dict[int, Array]) -> None:
        """Set the inputs, given by the index of their tensor in the file, and make room for the outputs."""
        indices = [self._index("Input", at) for at in range(self._count("Input"))]
        for at, index in enumerate(indices):
            sizes = arrays[index].shape
            if tuple(self._input_layout(at).sizes)[: len(sizes)] != sizes:
                dims = (ctypes.c_int * len(sizes))(*sizes)
                function = "LiteRtCompiledModelResizeInputTensorNonStrict"
                self._call(function, self._model, _size(0), _size(at), dims, _size(len(sizes)))
        self._inputs = self._buffers("Input", [self._input_layout(at) for at in range(len(indices))])
        self._outputs = self._buffers("Output", self._output_layouts())
        for buffer, index in zip(self._inputs, indices, strict=True):
            data, place, room = arrays[index].tobytes(), ctypes.c_void_p(), ctypes.c_size_t()
            self._call("LiteRtGetTensorBufferPackedSize", buffer, ctypes.byref(room))
            if room.value != len(data):
                msg = f"input tensor {index} takes {room.value} bytes in LiteRT's library, not {len(data)}"
                raise RuntimeError(msg)
            self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), _TO_WRITE)
            ctypes.memmove(place, data, len(data))
            self._call("LiteRtUnlockTensorBuffer", buffer)

    def run(self) -> None:
        """Run the model once."""
        inputs, outputs = _handles(self._inputs), _handles(self._outputs)
        self._call(
            "LiteRtRunCompiledModel", self._model, _size(0), _size(len(inputs)), inputs, _size(len(outputs)), outputs
        )

    def start(self) -> None:
        """Begin to profile, forgetting what was seen before."""
        self._call("LiteRtStartProfiler", self._profiler)

    def events(self) -> list[Event]:
        """Stop profiling and return what was seen since `start`. Raises `RuntimeError` for more events than fit."""
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        if count.value >= _MOST_EVENTS:
            msg = f"a call has more than {_MOST_EVENTS} events, which is all that LiteRT's profiler keeps"
            raise RuntimeError(msg)
        events = (EventData * max(1, count.value))()
        if count.value:
            self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return read_events(events[: count.value])

    def summary(self) -> str:
        """Return LiteRT's own table of the events so far."""
        text = ctypes.c_char_p()
        self._call("LiteRtGetProfileSummary", self._profiler, self._model, ctypes.byref(text))
        return (text.value or b"").decode("utf-8", errors="replace")

    def _compile(self, path: Path, kernels: str, threads: int) -> None:
        environment = self._made("LiteRtCreateEnvironment", "LiteRtDestroyEnvironment", 0, None)
        self._environment = environment
        file = self._made("LiteRtCreateModelFromFile", "LiteRtDestroyModel", environment, str(path).encode())
        options = self._made("LiteRtCreateOptions", "LiteRtDestroyOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _ON_CPU)
        self._add_options(options, b"runtime_options_string", "enable_profiling = true\n")
        self._add_options(options, b"xnnpack", f'kernel_mode = "{kernels}"\nnum_threads = {threads}\n')
        self._model = self._made("LiteRtCreateCompiledModel", "LiteRtDestroyCompiledModel", environment, file, options)
        self._profiler = self._handle("LiteRtCompiledModelGetProfiler", self._model)
        self._signature = self._handle("LiteRtGetModelSignature", file, _size(0))

    def _add_options(self, options: ctypes.c_void_p, name: bytes, text: str) -> None:
        payload = ctypes.create_string_buffer(text.encode())
        self._texts.append(payload)
        opaque = self._handle("LiteRtCreateOpaqueOptions", name, payload, _FREE)
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _buffers(self, side: str, layouts: Sequence[_Layout]) -> list[ctypes.c_void_p]:
        return [self._buffer(side, at, layout) for at, layout in enumerate(layouts)]

    def _buffer(self, side: str, at: int, layout: _Layout) -> ctypes.c_void_p:
        kind = _TensorType()
        self._call("LiteRtGetRankedTensorType", self._tensor(side, at), ctypes.byref(kind))
        kind.layout = layout
        needs = self._handle(f"LiteRtGetCompiledModel{side}BufferRequirements", self._model, _size(0), _size(at))
        create = "LiteRtCreateManagedTensorBufferFromRequirements"
        return self._made(create, "LiteRtDestroyTensorBuffer", self._environment, ctypes.byref(kind), needs)

    def _tensor(self, side: str, at: int) -> ctypes.c_void_p:
        return self._handle(f"LiteRtGetSignature{side}TensorByIndex", self._signature, _size(at))

    def _index(self, side: str, at: int) -> int:
        index = ctypes.c_uint32()
        self._call("LiteRtGetTensorIndex", self._tensor(side, at), ctypes.byref(index))
        return index.value

    def _count(self, side: str) -> int:
        count = ctypes.c_size_t()
        self._call(f"LiteRtGetNumSignature{side}s", self._signature, ctypes.byref(count))
        return count.value

    def _input_layout(self, at: int) -> _Layout:
        layout = _Layout()
        self._call("LiteRtGetCompiledModelInputTensorLayout", self._model, _size(0), _size(at), ctypes.byref(layout))
        return layout

    def _output_layouts(self) -> list[_Layout]:
        layouts = (_Layout * self._count("Output"))()
        function = "LiteRtGetCompiledModelOutputTensorLayouts"
        self._call(function, self._model, _size(0), _size(len(layouts)), layouts, ctypes.c_bool(True))
        return list(layouts)

    def _handle(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function that returns a handle in its last argument."""
        handle = ctypes.c_void_p()
        self._call(function, *arguments, ctypes.byref(handle))
        return handle

    def _made(self, create: str, destroy: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function that makes something, which `close` destroys."""
        handle = self._handle(create, *arguments)
        remove = getattr(self._library, destroy)
        remove.restype = None
        self._held.callback(remove, handle)
        return handle

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            msg = f"{function} of LiteRT's library failed with status {status}"
            raise RuntimeError(msg)


def read_events(events: Sequence[EventData]) -> list[Event]:
    """Return ``events`` as records. Raises `RuntimeError` if a version of LiteRT lays them out in another way.

    Their types are looked at first, because a text at a wrong address would end the process.
    """
    strange = next((data.type for data in events if data.type not in _TYPES), None)
    if strange is not None:
        msg = f"this version of LiteRT writes events in another form: there is no event type {strange}"
        raise RuntimeError(msg)
    return [_event(data) for data in events]


def _event(data: EventData) -> Event:
    return Event(
        tag=(data.tag or b"").decode("utf-8", errors="replace"),
        type=data.type,
        node=data.node,
        graph=data.graph,
        start_us=data.start_us,
        elapsed_us=data.elapsed_us,
    )


def _library_file() -> Path:
    """The library in the package's folder. Raises `OSError` if there is none."""
    import ai_edge_litert

    for folder in map(Path, ai_edge_litert.__path__):
        for name in ("libLiteRt.so", "libLiteRt.dylib", "libLiteRt.dll"):
            if (folder / name).is_file():
                return folder / name
    msg = "this package of ai-edge-litert has no libLiteRt"
    raise OSError(msg)


def _size(value: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(value)


def _handles(handles: Sequence[ctypes.c_void_p]) -> Any:
    return (ctypes.c_void_p * len(handles))(*handles)
