"""The networks that a page draws: every file once, with what the run knows of its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.readers.graph import Graph, GraphNode
from harness.records.operators import OperatorProfile
from harness.report.network.layers import changes, layers_of, shape_words
from harness.report.network.times import places
from harness.report.view import CellView
from harness.spec.recipe import Precision

# A page holds at most so many nodes, some 60 bytes each, and draws the files of the most interesting cells first.
MOST_NODES = 9_000
# A larger network is drawn by its modules.
MOST_IN_ONE = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of a run: its network, and the cell whose figures are shown on it."""

    view: CellView
    graph: Graph
    label: str

    @property
    def profile(self) -> OperatorProfile | None:
        """The operators of the cell, if they were profiled."""
        return self.view.measurement.operators if self.view.measurement else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnNode:
    """A node with what is known of it; None and empty for what is not.

    ``time_ns`` is per call of the model, and ``sqnr_db`` is that of the output with only its layer in int8. ``nodes``
    counts the nodes of the file that it stands for.
    """

    kind: str
    name: str
    layer: str
    after: tuple[int, ...]
    stored_bytes: int = 0
    weights: str = ""
    time_ns: float | None = None
    sqnr_db: float | None = None
    ran_on: str = ""
    change: str = ""
    nodes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One drawn file. ``unplaced`` is the share of the profiled time whose nodes are not known; None without times."""

    label: str
    nodes: tuple[DrawnNode, ...]
    unplaced: float | None = None
    compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a file beyond its graph: its layers, their SQNR in dB, and fp32 in the same format."""

    layers: tuple[str, ...]
    sqnr_db: dict[str, float] = field(default_factory=dict)
    plain: tuple[Graph, tuple[str, ...]] | None = None


def network_of(source: Source, facts: Facts) -> Network:
    """Return the network of ``source``, folded by its modules if it is large."""
    nodes, view = source.graph.nodes, source.view
    times, ran_on, unplaced = _measured(source)
    change = [""] * len(nodes)
    if facts.plain is not None:
        artifact = view.artifact
        steps = artifact.steps if artifact else ()
        outcomes = {layer.layer: f"{step.step}: {layer.outcome}" for step in steps for layer in step.layers}
        change = changes(source.graph, facts.layers, facts.plain, artifact.kept_float if artifact else (), outcomes)
    drawn = tuple(
        DrawnNode(
            kind=node.kind,
            name=node.name,
            layer=facts.layers[at],
            after=node.after,
            stored_bytes=node.stored_bytes,
            weights=f"{shape_words(node)} {node.weight_type}" if node.weight_shape else "",
            time_ns=times.get(at),
            sqnr_db=facts.sqnr_db.get(facts.layers[at]) if node.weight_shape else None,
            ran_on=ran_on.get(at, "") or _by_file(node, view),
            change=change[at],
        )
        for at, node in enumerate(nodes)
    )
    return Network(label=source.label, nodes=folded(drawn), unplaced=unplaced, compared=facts.plain is not None)


def _measured(source: Source) -> tuple[dict[int, float], dict[int, str], float | None]:
    """Time per call (ns) and place of each node that was timed, and the share of the time without a node."""
    profile = source.profile
    if profile is None or not profile.operators:
        return {}, {}, None
    found = places(profile, source.graph)
    times: dict[int, float] = {}
    ran_on: dict[int, str] = {}
    for number, at in found.items():
        operator = profile.operators[number]
        ran_on[at] = operator.ran_on
        if profile.total_ns and operator.total_ns is not None:
            times[at] = times.get(at, 0.0) + operator.total_ns / (profile.calls or operator.calls or 1)
    if not profile.total_ns:
        return times, ran_on, None
    placed = sum(profile.operators[number].total_ns or 0 for number in found)
    return times, ran_on, 1 - placed / profile.total_ns


def _by_file(node: GraphNode, view: CellView) -> str:
    """What ran a node without a profile: the backend in the file, or the one delegate that took everything."""
    runtime = view.runtime
    if node.backend or runtime is None or runtime.nodes_total is None:
        return node.backend
    whole = runtime.nodes_delegated in (0, runtime.nodes_total)
    return runtime.delegate_used if whole else ""


def folded(nodes: Sequence[DrawnNode]) -> tuple[DrawnNode, ...]:
    """Return ``nodes``, or if they are too many one node per module, as deep as there is room for."""
    if len(nodes) <= MOST_IN_ONE:
        return tuple(nodes)
    deepest = max(node.layer.count(".") + 1 for node in nodes)
    for depth in range(deepest, 0, -1):
        groups = [".".join(node.layer.split(".")[:depth]) for node in nodes]
        if len(set(groups)) <= MOST_IN_ONE and any(groups):
            return _merged(nodes, groups)
    run = -(-len(nodes) // MOST_IN_ONE)
    return _merged(nodes, [f"nodes {at // run * run + 1} to {at // run * run + run}" for at in range(len(nodes))])


def _merged(nodes: Sequence[DrawnNode], groups: Sequence[str]) -> tuple[DrawnNode, ...]:
    order = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    members: list[list[DrawnNode]] = [[] for _ in order]
    after: list[dict[int, None]] = [{} for _ in order]
    for node, group in zip(nodes, groups, strict=True):
        place = order[group]
        members[place].append(node)
        after[place] |= dict.fromkeys(p for at in node.after if (p := order[groups[at]]) != place)
    return tuple(_merge(group, members[place], tuple(after[place])) for group, place in order.items())


def _merge(group: str, members: Sequence[DrawnNode], after: tuple[int, ...]) -> DrawnNode:
    times = [node.time_ns for node in members if node.time_ns is not None]
    worst = [node.sqnr_db for node in members if node.sqnr_db is not None]
    kinds = list(dict.fromkeys(node.kind for node in members))
    return DrawnNode(
        kind=kinds[0] if len(kinds) == 1 else f"{len(members)} nodes",
        name=group or members[0].name,
        layer=group,
        after=after,
        stored_bytes=sum(node.stored_bytes for node in members),
        weights=next((node.weights for node in members if node.weights), ""),
        time_ns=sum(times) if times else None,
        sqnr_db=min(worst, default=None),
        ran_on="+".join(sorted({node.ran_on for node in members if node.ran_on})),
        change="; ".join(dict.fromkeys(node.change for node in members if node.change)),
        nodes=len(members),
    )


def networks(sources: Sequence[Source], scans: dict[str, dict[str, float]]) -> Iterator[Network]:
    """Yield the networks of ``sources`` as long as a page has room; ``scans`` has SQNR by layer for each model."""
    room = MOST_NODES
    for source in sources:
        network = network_of(source, _facts(source, sources, scans))
        room -= len(network.nodes)
        if room < 0:
            return
        yield network


def _facts(source: Source, sources: Sequence[Source], scans: dict[str, dict[str, float]]) -> Facts:
    cell = source.view.cell
    same = [s for s in sources if s.view.cell.model == cell.model]
    alike = [s.graph for s in same if s.view.cell.variant == cell.variant and s is not source]
    layers = layers_of(source.graph, [*alike, *(s.graph for s in same)])
    plain = next((s for s in same if s.view.cell.variant == Precision.FP32.value and _alike(s, source)), None)
    sqnr_db = scans.get(cell.model, {})
    if plain is None or plain is source:
        return Facts(layers=layers, sqnr_db=sqnr_db)
    return Facts(layers=layers, sqnr_db=sqnr_db, plain=(plain.graph, layers_of(plain.graph, [s.graph for s in same])))


def _alike(one: Source, other: Source) -> bool:
    return (one.view.cell.format, one.view.cell.backend) == (other.view.cell.format, other.view.cell.backend)


def network_json(network: Network) -> dict[str, Any]:
    """Return plain values for the page's script; words that repeat stand once, in ``words``."""
    words: dict[str, int] = {}

    def word(text: str) -> int:
        return words.setdefault(text, len(words))

    nodes = [
        [
            word(n.kind), n.name[-120:], word(n.layer), list(n.after), n.stored_bytes, word(n.weights),
            None if n.time_ns is None else round(n.time_ns), None if n.sqnr_db is None else round(n.sqnr_db, 1),
            word(n.ran_on), word(n.change), n.nodes,
        ]
        for n in network.nodes
    ]  # fmt: skip
    return {
        "label": network.label,
        "compared": network.compared,
        "unplaced": network.unplaced,
        "nodes": nodes,
        "words": list(words),
    }
