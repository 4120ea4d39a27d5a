"""What a run has changed in a network: buffers, weights, and Python attributes, in containers and objects too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from harness.model.preserve import DEPTH, OWN, is_user_object

if TYPE_CHECKING:
    import torch

# Copies of the values of a network by what they are, such as "buffer 'tail'".
State: TypeAlias = dict[str, Any]

_ABSENT = object()
# Attributes that PyTorch changes by itself: hooks, and the flag of `train` and `eval`.
_OF_TORCH = ("_forward_", "_backward_", "_state_dict_", "_load_", "training")


def state_of(network: torch.nn.Module) -> State:
    """Return copies of all that a run of ``network`` may change. Weights are not copied; writes to them are counted."""
    state = {f"parameter {name!r}": parameter._version for name, parameter in network.named_parameters()}
    for path, module in network.named_modules():
        state |= {f"{kind} {_joined(path, name)!r}": _copy(value, DEPTH) for kind, name, value in _values(module)}
    return state


def changes(before: State, after: State) -> list[str]:
    """Return what differs, such as ``buffer 'tail'``."""
    names = dict.fromkeys([*before, *after])
    return [name for name in names if not _equal(before.get(name, _ABSENT), after.get(name, _ABSENT))]


def _values(module: torch.nn.Module) -> Iterator[tuple[str, str, Any]]:
    import torch

    yield from (("buffer", name, value) for name, value in module.named_buffers(recurse=False))
    if isinstance(module, torch.jit.ScriptModule):
        return
    for name, value in vars(module).items():
        if name not in OWN and not name.startswith(_OF_TORCH):
            yield "attribute", name, value


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _copy(value: Any, depth: int) -> Any:
    """A copy to compare later: containers as lists, objects as their attributes, anything else as it is."""
    import torch

    if isinstance(value, torch.nn.Module) or depth == 0:
        return id(value)
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: _copy(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | deque):
        return [_copy(item, depth - 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if is_user_object(value):
        return {key: _copy(item, depth - 1) for key, item in vars(value).items()}
    return value


def _equal(one: Any, other: Any) -> bool:
    import torch

    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        same = one.shape == other.shape and one.dtype == other.dtype
        return same and bool(torch.equal(torch.nan_to_num(one), torch.nan_to_num(other)))
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one is other or bool(one == other)
