"""The layers that an exporter leaves in float although the precision is an integer one, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from harness.artifacts.export.layers import is_within

if TYPE_CHECKING:
    import torch

_RECURRENT = ("LSTM", "GRU", "RNN", "RNN_RELU", "RNN_TANH", "LSTMCELL", "GRUCELL", "RNNCELL")
_LOOKUPS = ("EMBEDDING", "EMBEDDINGBAG", "GATHER", "EMBEDDING_LOOKUP")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFloat:
    """One layer: its name in the network, what it is, and why it stays in float."""

    layer: str
    kind: str
    reason: str


@runtime_checkable
class LeavesFloat(Protocol):
    """An exporter that knows which layers its last file has in float; none that the recipe itself keeps in float."""

    left_float: tuple[LeftFloat, ...]


def left_float(
    network: torch.nn.Module,
    layers: Iterable[tuple[str, str]],
    kept: Iterable[str],
    *,
    quantiser: str,
    only: str | None = None,
) -> tuple[LeftFloat, ...]:
    """Describe ``layers``, pairs of a submodule's name and of the operator that the file has for it.

    ``kept``: layers that the recipe keeps in float, which are left out. ``quantiser``: whose choice it was, in words.
    ``only``: the reason, if the precision takes nothing but layers of one kind.
    """
    asked, named = tuple(kept), dict(network.named_modules())
    seen: dict[str, LeftFloat] = {}
    for name, operator in layers:
        if not is_within(name, asked):
            kind = _kind(named.get(name), operator)
            reason = only or _reason(kind, operator, quantiser)
            seen.setdefault(name or kind, LeftFloat(layer=name, kind=kind, reason=reason))
    return tuple(seen.values())


def _kind(module: torch.nn.Module | None, operator: str) -> str:
    """The class of a layer of PyTorch, or the operator where a module of the user's own computes it."""
    if module is None or not type(module).__module__.startswith("torch."):
        return operator
    groups = getattr(module, "groups", 1)
    # A class of PyTorch's own, which differs from Linear only in that dynamic quantisation leaves it alone.
    name = type(module).__name__.removeprefix("NonDynamicallyQuantizable")
    return name + (f" with {groups} groups" if groups > 1 else "")


def _reason(kind: str, operator: str, quantiser: str) -> str:
    words = {kind.split()[0].upper(), operator.upper()}
    if "Transpose" in kind and "groups" in kind:
        # Their second dimension has the output channels of one group.
        return (
            f"{quantiser} takes no transposed convolutions with groups, because no axis of their weights has one entry "
            "per output channel"
        )
    if words & set(_RECURRENT):
        return f"{quantiser} takes no recurrent layers"
    if words & set(_LOOKUPS):
        return f"{quantiser} takes no lookup tables"
    return f"{quantiser} does not take this kind of layer"


def listed(layers: Iterable[LeftFloat]) -> str:
    """Return ``layers`` in words, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for each in layers:
        by_reason.setdefault(each.reason, []).append(f"{each.layer} ({each.kind})" if each.layer else each.kind)
    return "; ".join(f"{_few(names)}: {reason}" for reason, names in by_reason.items())


def _few(names: list[str]) -> str:
    """Up to four names: a network may have hundreds of such layers."""
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
