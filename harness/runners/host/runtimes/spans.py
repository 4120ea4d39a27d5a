"""From what a runtime's profiler writes to one entry per operator.

Profilers report spans of time. Those of an operator that runs a graph of its own, such as a loop, contain the spans of
that graph, which must not be counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.wire import OperatorTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One run of one operator. ``place`` tells operators of the same name apart; ``nests``: it runs other operators."""

    name: str
    kind: str
    ran_on: str
    place: tuple[int, ...]
    start_us: int
    elapsed_us: int
    nests: bool = False


def operator_times(spans: Sequence[Span]) -> tuple[OperatorTime, ...]:
    """Return one entry per operator in the order of ``spans``, each time without that of inner operators.

    An operator that runs others comes before them.
    """
    samples: dict[tuple[str, str, str, tuple[int, ...]], list[int]] = {}
    for span, own_us in zip(spans, _own_times(spans), strict=True):
        samples.setdefault((span.name, span.kind, span.ran_on, span.place), []).append(own_us * 1000)
    return tuple(
        OperatorTime(name=name, kind=kind, ran_on=ran_on, samples_ns=tuple(ns))
        for (name, kind, ran_on, _), ns in samples.items()
    )


def _own_times(spans: Sequence[Span]) -> list[int]:
    """The time of each span in µs without the spans inside it."""
    own = [span.elapsed_us for span in spans]
    around: list[int] = []
    for at, span in enumerate(spans):
        while around and span.start_us >= spans[around[-1]].start_us + spans[around[-1]].elapsed_us:
            around.pop()
        if around:
            # Both are whole microseconds, so rounding could take more than there is.
            own[around[-1]] = max(0, own[around[-1]] - span.elapsed_us)
        if span.nests:
            around.append(at)
    return own
