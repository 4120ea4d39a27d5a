"""To which layer of the source network each node of a file belongs, and what a recipe changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from harness.readers.graph import Graph, GraphNode

# Biases, scales and shapes are smaller than the weights of a layer that is worth a mark.
_FEWEST = 8


def layers_of(graph: Graph, others: Sequence[Graph]) -> tuple[str, ...]:
    """Return the layer of each node, empty where it is not known.

    A format that keeps no names takes them from a file of the same network in another format: ``others`` are such
    files, the closest first. Layers correspond where runs of weights have equal sizes.
    """
    own = [node.layer for node in graph.nodes]
    if not any(own):
        own = next((named for other in others if any(named := _named_by(graph, other))), own)
    return tuple(_inherited(own, graph.nodes))


def _named_by(graph: Graph, other: Graph) -> list[str]:
    ours = [at for at, node in enumerate(graph.nodes) if _numbers(node) >= _FEWEST]
    theirs = [node for node in other.nodes if _numbers(node) >= _FEWEST]
    names = [""] * len(graph.nodes)
    matcher = SequenceMatcher(
        None, [_numbers(graph.nodes[at]) for at in ours], [_numbers(node) for node in theirs], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for step in range(block.size):
            names[ours[block.a + step]] = theirs[block.b + step].layer
    return names


def _numbers(node: GraphNode) -> int:
    """The size of its largest tensor, which no format changes."""
    return math.prod(node.weight_shape) if node.weight_shape else 0


def _inherited(layers: Sequence[str], nodes: Sequence[GraphNode]) -> list[str]:
    """A node without a layer of its own, such as an activation, belongs to the layer that it follows."""
    result: list[str] = []
    for layer, node in zip(layers, nodes, strict=True):
        before = [result[at] for at in node.after if at < len(result) and result[at]]
        # What joins several layers belongs to the module that contains them, or to the last of them.
        result.append(layer or (before[0] if len(set(before)) == 1 else _common(before)) or next(iter(before[-1:]), ""))
    return result


def _common(paths: Sequence[str]) -> str:
    levels = [path.split(".") for path in paths]
    shared: list[str] = []
    for parts in zip(*levels, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def changes(
    graph: Graph,
    layers: Sequence[str],
    plain: tuple[Graph, Sequence[str]],
    kept: Sequence[str],
    outcomes: dict[str, str],
) -> list[str]:
    """Return for each node what sets it apart from fp32 in the same format, in words; empty for no difference.

    ``plain`` is the fp32 file and its layers, ``kept`` names the layers that a mixed precision left in float, and
    ``outcomes`` says what the graph steps did to a layer.
    """
    before, before_layers = plain
    theirs = {layer: node for node, layer in zip(before.nodes, before_layers, strict=True) if node.weight_shape}
    kinds = Counter(node.kind for node in before.nodes)
    return [
        "; ".join(_differences(node, layer, theirs, kinds, kept, outcomes))
        for node, layer in zip(graph.nodes, layers, strict=True)
    ]


def _differences(
    node: GraphNode,
    layer: str,
    theirs: dict[str, GraphNode],
    kinds: Counter[str],
    kept: Sequence[str],
    outcomes: dict[str, str],
) -> list[str]:
    if not node.weight_shape:
        return [] if kinds[node.kind] else [f"fp32 has no {node.kind}"]
    words = [f"left in float: {layer}"] if layer in kept else []
    if layer in outcomes:
        words.append(outcomes[layer])
    other = theirs.get(layer)
    if other is None:
        return words if words or kinds[node.kind] else [f"fp32 has no {node.kind}"]
    if node.weight_type != other.weight_type:
        words.append(f"{node.weight_type} weights, {other.weight_type} in fp32")
    if _numbers(node) != _numbers(other):
        words.append(f"weights {shape_words(node)}, {shape_words(other)} in fp32")
    return words


def shape_words(node: GraphNode) -> str:
    """The shape in words, such as ``48 × 24 × 1 × 1``."""
    return " × ".join(map(str, node.weight_shape))
