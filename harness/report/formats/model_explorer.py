"""The operator times of profiled cells as node data for Google's Model Explorer, one file per cell.

The viewer shows a graph of its own from the model's file; this colours its nodes. A node is found by the name of its
output tensor or by its own name, which the graph in the run has; of an operator whose node is not known, and in runs
without graphs, by the name in the profile. What a delegate ran as one block is one entry, which the graph of the file
has no node for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.errors import UsageError
from harness.readers.graph import Graph
from harness.records.operators import OperatorProfile
from harness.report.network.times import places
from harness.report.view import CellView, cell_views
from harness.store.reader import read_graph
from harness.store.records import RunRecord

# Pale to dark, for black text and for every common kind of colour blindness.
_GRADIENT = [{"stop": 0, "bgColor": "#f7fbff"}, {"stop": 0.5, "bgColor": "#9ecae1"}, {"stop": 1, "bgColor": "#4292c6"}]
# The viewer calls the graph of a file with a single graph so.
_GRAPH = "main"


def node_data(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield (file name, JSON) per profiled cell: the time of each operator in ms per call.

    Raises `UsageError` if no cell has operator times.
    """
    profiled = [(v, p) for v in cell_views(run) if (p := _profile(v)) is not None]
    if not profiled:
        msg = f"no cell of run {run.head.id!r} has operator times: measure with --operators, then write it again"
        raise UsageError(msg)
    for number, (view, profile) in enumerate(profiled, 1):
        # A key may hold characters that a file name must not.
        name = "".join(c if c.isalnum() or c in "-_.+" else "-" for c in view.cell.key)[:120]
        yield (
            f"model-explorer/{number}-{name}.json",
            json.dumps(_data(profile, _graph_of(run, view)), indent=1, ensure_ascii=False) + "\n",
        )


def _profile(view: CellView) -> OperatorProfile | None:
    profile = view.measurement.operators if view.measurement else None
    return profile if profile is not None and profile.by_time else None


def _graph_of(run: RunRecord, view: CellView) -> Graph | None:
    return read_graph(run, view.artifact.sha256) if view.artifact else None


def _data(profile: OperatorProfile, graph: Graph | None) -> dict[str, Any]:
    """The times by name. Operators of one name, such as those of a loop, are added up."""
    calls, times = profile.calls or 1, dict[str, float]()
    placed = places(profile, graph) if graph is not None else {}
    for number, operator in enumerate(profile.operators):
        if operator.total_ns is None:
            continue
        at = placed.get(number)
        name = graph.nodes[at].name if graph is not None and at is not None else operator.name or operator.kind
        times[name] = times.get(name, 0.0) + operator.total_ns / calls / 1e6
    return {_GRAPH: {"results": {name: {"value": ms} for name, ms in times.items()}, "gradient": _GRADIENT}}
