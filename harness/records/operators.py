"""Times of single operators and what ran each: one record, whichever runtime or tool reported it.

A profile is taken in a launch of its own, after a cell has been measured, because timing single operators slows a call
down. No figure of a cell comes from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of the graph as its runtime ran it.

    ``name`` is that of the node in the file or in the optimised graph, ``kind`` its type in the runtime's own words.
    ``calls`` counts how often it was timed and ``total_ns`` is the sum of these times; both are None where only its
    place is known. ``nodes``: how many nodes of the file it stands for; a delegate may run hundreds as one.

    ``ran_on`` is what ran it: a delegate by phonebench's name where it has one (``cpu``, ``xnnpack``, ``gpu``), else
    the runtime's own word; empty if it is not reported. ``delegated`` says whether that was the requested delegate;
    None if it is not known, or if no delegate was requested. ``reason``: why the delegate did not run it, in the words
    of the runtime; empty if it did or if the runtime does not say.
    """

    name: str
    kind: str
    calls: int | None = None
    total_ns: int | None = None
    nodes: int = 1
    ran_on: str = ""
    delegated: bool | None = None
    reason: str = ""

    @property
    def mean_ns(self) -> float | None:
        """The mean time of one of its calls; None if it was not timed."""
        return self.total_ns / self.calls if self.total_ns is not None and self.calls else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorProfile:
    """The operators of one cell, in the order in which they ran.

    ``source`` names what reported them, such as ``onnxruntime 1.31.1`` or the file that they were read from. ``calls``
    counts the calls of the model that the times come from, and ``call_ns`` is the median time of one of them, which is
    longer than without a profiler; both are None if not reported. ``reason`` says in a sentence why there are no
    operators, or no times of them; empty if nothing is missing. ``reply_sha256`` names the stored reply that the
    profile was read from.
    """

    source: str
    operators: tuple[Operator, ...] = ()
    calls: int | None = None
    call_ns: int | None = None
    reason: str = ""
    reply_sha256: str | None = None

    @property
    def total_ns(self) -> int | None:
        """The time of all operators together over all calls; None if none was timed."""
        times = [operator.total_ns for operator in self.operators if operator.total_ns is not None]
        return sum(times) if times else None

    @property
    def by_time(self) -> tuple[Operator, ...]:
        """The operators that were timed, the longest in sum first."""
        timed = [operator for operator in self.operators if operator.total_ns is not None]
        return tuple(sorted(timed, key=lambda operator: -(operator.total_ns or 0)))

    @property
    def not_delegated(self) -> tuple[Operator, ...]:
        """The operators that the requested delegate did not run, in the order in which they ran."""
        return tuple(operator for operator in self.operators if operator.delegated is False)

    def share(self, operator: Operator) -> float | None:
        """Return the share of ``operator`` in `total_ns`, 0…1; None if it was not timed."""
        total = self.total_ns
        return operator.total_ns / total if total and operator.total_ns is not None else None
