"""The network in a file as nodes and edges: the records that the readers of each format return."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# 1 (2026-11): the first.
SCHEMA = 1

# A file of more nodes is not worth a graph that nobody can read.
MOST_NODES = 50_000

# Types of shapes, axes, indices, and of the biases of quantised layers.
_NO_WEIGHTS = ("int32", "int64", "bool", "strings")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One operator of a file.

    ``name`` is its own name or that of its first output, ``kind`` its type in the words of the format. ``outputs`` are
    the names of what it computes. ``after`` are the positions of the nodes that it reads from. ``stored_bytes`` is what
    its stored numbers take; numbers that several nodes share count at the first. ``weight_type`` and ``weight_shape``
    are those of its largest tensor of weights, empty if it has only shapes, indices and biases. ``layer`` is the module
    of the source network that its weights or its name point to, empty if nothing does. ``backend`` is the backend that
    the file hands it to, empty if the file leaves that to the runtime.
    """

    name: str
    kind: str
    outputs: tuple[str, ...] = ()
    after: tuple[int, ...] = ()
    stored_bytes: int = 0
    weight_type: str = ""
    weight_shape: tuple[int, ...] = ()
    layer: str = ""
    backend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All nodes of a file in an order in which they can run. What reads only stored numbers belongs to its readers."""

    schema: int = SCHEMA
    nodes: tuple[GraphNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stored tensor: its name, which may be empty, its element type by numpy's name, and its shape."""

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What its numbers take, rounded up."""
        bits = re.search(r"\d+", self.kind)
        return (self.count * (int(bits.group()) if bits else 8) + 7) // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An operator as a file lists it: the names of what it reads and computes. ``own`` are numbers inside it."""

    name: str
    kind: str
    reads: Sequence[str]
    writes: Sequence[str]
    own: tuple[Stored, ...] = ()
    layer: str = ""
    backend: str = ""


def link(steps: Iterable[Step], stored: Mapping[str, Stored], inputs: Iterable[str]) -> Graph:
    """Return the graph of ``steps``, which stand in an order in which they can run.

    A step that reads nothing but stored numbers, such as one that widens packed weights, becomes part of what reads it.
    Raises `ValueError` above `MOST_NODES`.
    """
    makers: dict[str, int | None] = dict.fromkeys(inputs)
    constants: dict[str, tuple[Stored, ...]] = {name: (tensor,) for name, tensor in stored.items()}
    nodes: list[GraphNode] = []
    counted: dict[int, Stored] = {}
    for step in steps:
        numbers = (*step.own, *(tensor for name in step.reads for tensor in constants.get(name, ())))
        if all(name in constants for name in step.reads):
            constants |= dict.fromkeys(step.writes, numbers)
            continue
        if len(nodes) == MOST_NODES:
            msg = f"it has more than {MOST_NODES} nodes"
            raise ValueError(msg)
        nodes.append(_node(step, numbers, makers, counted))
        makers |= dict.fromkeys(step.writes, len(nodes) - 1)
    return Graph(nodes=tuple(nodes))


def _node(
    step: Step, numbers: Sequence[Stored], makers: Mapping[str, int | None], counted: dict[int, Stored]
) -> GraphNode:
    new = {id(tensor): tensor for tensor in numbers if id(tensor) not in counted}
    # The tensors themselves are kept too, or their ids could be given to others.
    counted |= new
    before = [makers.get(name) for name in step.reads]
    largest = max((t for t in numbers if t.kind not in _NO_WEIGHTS), key=lambda tensor: tensor.count, default=None)
    return GraphNode(
        name=step.name or next(iter(step.writes), ""),
        kind=step.kind,
        outputs=tuple(step.writes),
        after=tuple(sorted({at for at in before if at is not None})),
        stored_bytes=sum(tensor.bytes for tensor in new.values()),
        weight_type=largest.kind if largest is not None and largest.count > 1 else "",
        weight_shape=largest.shape if largest is not None and largest.count > 1 else (),
        layer=step.layer or _layer_of(numbers),
        backend=step.backend,
    )


def _layer_of(numbers: Iterable[Stored]) -> str:
    """The module whose parameters these are: PyTorch calls them by its path, a dot and ``weight`` or ``bias``."""
    by_size = sorted(numbers, key=lambda tensor: -tensor.count)
    for word in (".weight", ".bias"):
        for tensor in by_size:
            layer, dot, _ = tensor.name.partition(word)
            if dot and "/" not in layer:
                return layer
    return next(filter(None, (layer_in_path(tensor.name) for tensor in by_size)), "")


# Classes of modules with weights at the end of a path of LiteRT's converter.
_WEIGHTED_CLASS = re.compile(r"\.(Conv|LazyConv|Linear|LSTM|GRU|RNN|Embedding|MultiheadAttention)\w*?_[^/]*$")


def layer_in_path(path: str) -> str:
    """Return the module that a converter's node name states as a path of scopes, without the node's own level.

    ``/layer1/layer1.0/conv1/Conv`` is ``layer1.0.conv1``, and LiteRT's
    ``pkg.Net/torch.nn.modules.container.Sequential_features/torch.nn.modules.conv.Conv2d_0;1`` is ``features.0``. What
    LiteRT fuses bears the names of all parts, of which the one with the weights counts.
    """
    parts = [part for part in path.split(";") if "." in part or "/" in part] or [""]
    first = next(filter(_WEIGHTED_CLASS.search, parts), parts[0])
    levels = first.strip("/").split("/")
    if all(re.fullmatch(r"\w+(\.\w+)+", level) for level in levels):
        return ".".join(filter(None, (level.rsplit(".", 1)[-1].partition("_")[2] for level in levels)))
    scopes: list[str] = []
    for level in levels[:-1]:
        if scopes and level.startswith(f"{scopes[-1]}."):
            scopes[-1] = level
        else:
            scopes.append(level)
    return ".".join(scopes)
