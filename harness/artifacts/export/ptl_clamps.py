"""Clamps in ``.ptl``: the range of the layer before them does their work, because saturation is a clamp.

In torch 2.13 QNNPACK's clamp of a quantised tensor returns the right values in the wrong places if the tensor is
channels last, which every output of a convolution is. So no file has that operator. The clamp becomes part of the
observer before it, whose range then ends at the limits, and the operator is removed, which is also faster. Where the
range belongs to other values too, the clamp is computed in float. A ReLU that torch.ao has not fused, such as
`torch.relu`, is treated in the same way, except that it is never computed in float.
"""

from __future__ import annotations

import copy
import functools
import math
from typing import TYPE_CHECKING, Any

from harness.variants.activations import clamp_limits, is_relu

if TYPE_CHECKING:
    import torch

    Node = torch.fx.Node


def absorb_clamps(prepared: Any) -> None:
    """Remove the clamps of a graph of `prepare_fx`, in place, before it has seen an input."""
    _copy_reused_layers(prepared)
    modules = dict(prepared.named_modules(remove_duplicate=False))
    for node in list(prepared.graph.nodes):
        relu = is_relu(node, modules)
        limits = (0.0, math.inf) if relu else clamp_limits(node, modules)
        if limits is None or not _is_observer(node.args[0], modules):
            continue
        if limits[0] <= 0 <= limits[1] and _owns_range(node, modules):
            _absorb(prepared, node, limits, modules)
        # QNNPACK's ReLU is right.
        elif not relu:
            _compute_in_float(prepared, node, limits)
    prepared.graph.lint()
    prepared.recompile()


def _copy_reused_layers(prepared: Any) -> None:
    """Give each call of a layer that is called more than once a layer of its own.

    A quantised layer holds the range of its output, which differs from call to call. `convert_fx` would keep one of
    them for all.
    """
    called: set[str] = set()
    for node in prepared.graph.nodes:
        if node.op != "call_module" or not hasattr(prepared.get_submodule(node.target), "weight"):
            continue
        if node.target in called:
            copied = f"{node.target}_{node.name}"
            prepared.add_submodule(copied, copy.deepcopy(prepared.get_submodule(node.target)))
            node.target = copied
        called.add(node.target)


def _absorb(prepared: Any, clamp: Node, limits: tuple[float, float], modules: dict[str, Any]) -> None:
    """Let the observer before ``clamp`` limit the values as well, and remove the clamp and the observer after it."""
    before: Any = clamp.args[0]
    shared = modules[before.target]
    kind: Any = type(shared)
    limited = _limited(kind)(shared, limits)
    for name, module in list(modules.items()):
        if module is shared:
            prepared.set_submodule(name, limited)
            modules[name] = limited
    for after in [user for user in clamp.users if _is_observer(user, modules)]:
        after.replace_all_uses_with(before)
        prepared.graph.erase_node(after)
    clamp.replace_all_uses_with(before)
    prepared.graph.erase_node(clamp)


def _owns_range(clamp: Node, modules: dict[str, Any]) -> bool:
    """Whether the observer before ``clamp`` sees only the values before it, and values derived from those after it.

    Pooling and reshaping share the range of what they read; a concatenation shares one with all that it reads.
    """
    before: Any = clamp.args[0]
    if list(before.users) != [clamp]:
        return False
    shared = modules[before.target]
    derived: set[Node] = {clamp}
    for node in clamp.graph.nodes:
        sources = [source for source in node.all_input_nodes if source.op != "get_attr"]
        if sources and all(source in derived for source in sources):
            derived.add(node)
    users = [n for n in clamp.graph.nodes if n.op == "call_module" and modules.get(str(n.target)) is shared]
    return all(user is before or user in derived for user in users)


def _compute_in_float(prepared: Any, clamp: Node, limits: tuple[float, float]) -> None:
    """Replace ``clamp`` by ``torch.clip``, the same function by a name that quantisation leaves in float."""
    import torch

    low, high = (None if math.isinf(limit) else limit for limit in limits)
    with prepared.graph.inserting_before(clamp):
        same = prepared.graph.call_function(torch.clip, (clamp.args[0], low, high))
    clamp.replace_all_uses_with(same)
    prepared.graph.erase_node(clamp)


@functools.cache
def _limited(observer: Any) -> Any:
    class Limited(observer):  # type: ignore[misc]
        """An observer that limits the values as the clamp did, for itself and for all that follows."""

        def __init__(self, original: Any, limits: tuple[float, float]) -> None:
            # A new object that takes over the state of the original, whose settings no attribute keeps.
            self.__dict__.update(original.__dict__)
            self.limits = limits

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            """Limit ``values``, and observe and return them."""
            observed: torch.Tensor = super().forward(values.clamp(*self.limits))
            return observed

    return Limited


def _is_observer(node: Any, modules: dict[str, Any]) -> bool:
    from torch.ao.quantization import ObserverBase

    return getattr(node, "op", "") == "call_module" and isinstance(modules[str(node.target)], ObserverBase)
