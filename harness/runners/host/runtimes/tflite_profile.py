"""The operators of a ``.tflite`` file, timed by LiteRT's own profiler through its C library."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from harness.runners.host.runtimes import tflite
from harness.runners.host.runtimes.litert_library import (
    DELEGATE_NODE,
    INSIDE_DELEGATE,
    KERNEL,
    Event,
    ProfiledModel,
)
from harness.runners.host.runtimes.session import NATIVE_ERRORS, Profiled, library_version
from harness.runners.host.runtimes.spans import Span, operator_times
from harness.wire import Delegate, ProfileFacts, RuntimeRequest
from harness.wire.tensors import Array

# Operators that run graphs of their own.
_GRAPHS = ("WHILE", "IF", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE")
# `AttributeError`: a library without one of the functions.
_FAILURES: tuple[type[Exception], ...] = (*NATIVE_ERRORS, AttributeError)
_KERNELS = {Delegate.CPU: "builtin", Delegate.XNNPACK: "delegate"}


def profile(path: Path, request: RuntimeRequest, arrays: Sequence[Array], calls: int) -> Profiled:
    """Time every operator over ``calls`` calls, in whole microseconds. Raises `SessionError`.

    If the library cannot be called, there are no operators, and the facts say why.
    """
    session = tflite.load(path, request)
    session.set_inputs(arrays)
    inputs, names = session.stored_inputs(), session.node_names()
    session.close()
    source = f"{tflite.NAME} {library_version('ai-edge-litert')}"
    try:
        runs = list(_runs(path, request, inputs, calls))
    except _FAILURES as error:
        return Profiled(operators=(), facts=ProfileFacts(source=source, reason=f"LiteRT's profiler failed: {error}"))
    spans = [span for events, _ in runs for span in event_spans(events, names)]
    return Profiled(
        operators=operator_times(spans), facts=ProfileFacts(source=source, calls_ns=tuple(ns for _, ns in runs))
    )


def _runs(
    path: Path, request: RuntimeRequest, inputs: dict[int, Array], calls: int
) -> Iterator[tuple[list[Event], int]]:
    """Yield the events of each call, and its time in ns with the reading of the events left out."""
    with closing(ProfiledModel(path, kernels=_KERNELS[request.delegate], threads=request.threads)) as model:
        model.set_inputs(inputs)
        model.run()
        for _ in range(calls):
            start = time.perf_counter_ns()
            model.start()
            model.run()
            elapsed = time.perf_counter_ns() - start
            yield model.events(), elapsed


def event_spans(events: Sequence[Event], names: Sequence[str]) -> Iterator[Span]:
    """Yield the operators among the events of one call; ``names`` are those of the main graph's nodes.

    Those that XNNPACK ran are its own, which are fewer than the nodes that it took: it fuses some. They are numbered
    within their partition, and told apart by the node of LiteRT that ran before the partition.
    """
    before = (-1, -1)
    for event in events:
        if event.type == KERNEL:
            before = (event.graph, event.node)
            in_main = event.graph == 0 and event.node < len(names)
            name = names[event.node] if in_main else f"{event.tag} {event.node} of graph {event.graph}"
            yield _span(event, name, Delegate.CPU, before)
        elif event.type in (DELEGATE_NODE, INSIDE_DELEGATE):
            yield _span(event, str(event.node), Delegate.XNNPACK, (*before, event.node))


def _span(event: Event, name: str, ran_on: Delegate, place: tuple[int, ...]) -> Span:
    return Span(
        name=name,
        kind=event.tag,
        ran_on=ran_on.value,
        place=place,
        start_us=event.start_us,
        elapsed_us=event.elapsed_us,
        nests=event.tag in _GRAPHS,
    )
