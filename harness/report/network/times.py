"""Which node of a file each timed operator is.

Runtimes rename, fuse and reorder nodes, and some only number their operators. So an operator is found by its name where
that leads to one node, and otherwise by its place among the operators of its kind, where both sides have equally many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.readers.graph import Graph, GraphNode
from harness.records.operators import Operator, OperatorProfile

# What ONNX Runtime adds to the name of a node or tensor when it replaces a node by one of its own.
_ADDED = re.compile(r"(_token_\d+|_nchwc|_nhwc|_quant|_transformed_\d+|/?[_ ]fused.*)+$", re.IGNORECASE)
# Operators with weights, in the words of every runtime and format.
_WITH_WEIGHTS = re.compile(r"conv|gemm|fully.?connected|linear|matmul|addmm|lstm|gru|rnn", re.IGNORECASE)
# How far before the last node of a fused operator its first may stand.
_FUSED = 4


def places(profile: OperatorProfile, graph: Graph) -> dict[int, int]:
    """Return for each operator that is found the position of its node, by its own position in the profile."""
    found = _by_name(profile.operators, graph)
    nodes = graph.nodes
    for same in (_is_weighted, _kind):
        free = set(range(len(nodes))) - set(found.values())
        left = [at for at in range(len(profile.operators)) if at not in found]
        theirs = _grouped((at, same(profile.operators[at].kind)) for at in left)
        ours = _grouped((at, same(nodes[at].kind)) for at in sorted(free))
        for key, operators in theirs.items():
            if key and len(operators) == len(ours.get(key, ())):
                found |= dict(zip(operators, ours[key], strict=True))
    return found


def _by_name(operators: Sequence[Operator], graph: Graph) -> dict[int, int]:
    by_name: dict[str, list[int]] = {}
    for at, node in enumerate(graph.nodes):
        for name in dict.fromkeys((node.name, *node.outputs)):
            by_name.setdefault(name, []).append(at)
    found: dict[int, int] = {}
    for number, operator in enumerate(operators):
        for name in (operator.name, _ADDED.sub("", operator.name)):
            # Runtimes that only number their operators name no node.
            if len(by_name.get(name, ())) == 1 and not name.isdigit():
                found[number] = _first_of_fused(by_name[name][0], operator, graph.nodes)
                break
    return found


def _first_of_fused(at: int, operator: Operator, nodes: Sequence[GraphNode]) -> int:
    """The node that gave a fused operator its kind: a convolution bears the name of the activation after it."""
    step = at
    for _ in range(_FUSED):
        if _kind(nodes[step].kind) in _kind(operator.kind):
            return step
        if len(nodes[step].after) != 1:
            break
        step = nodes[step].after[0]
    return at


def _grouped(pairs: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for at, key in pairs:
        groups.setdefault(key, []).append(at)
    return groups


def _is_weighted(kind: str) -> str:
    return "weighted" if _WITH_WEIGHTS.search(kind) else ""


def _kind(kind: str) -> str:
    """A kind without what runtimes write differently: ``Mean (ND) Reduce2`` and ``MEAN`` are ``mean``."""
    word = kind.rsplit("::", 1)[-1].split("(", 1)[0].split(".", 1)[0]
    return re.sub(r"^static|[^a-z0-9]", "", word.lower())
