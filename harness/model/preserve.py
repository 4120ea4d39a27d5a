"""Puts a network back as it was: whatever phonebench runs it for, nothing of the run may remain in it.

Exporters write the buffers of a network into the file. A buffer that our own trial runs had written would be shipped.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Undo = Callable[[], None]

# What PyTorch keeps in the ``__dict__`` of a module for itself.
OWN = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
# How deep containers and objects within attributes are followed.
DEPTH = 4


@contextmanager
def preserved(network: torch.nn.Module) -> Iterator[None]:
    """Restore the buffers and Python attributes of all modules, and every random generator, after the block.

    Tensors are restored in place, so that a traced copy that shares them is restored too. Parameters are not copied:
    `harness.model.purity` refuses a network that writes them.
    """
    undos = [*_generators(), *_contents(network)]
    try:
        yield
    finally:
        for undo in undos:
            undo()


def is_lazy(network: torch.nn.Module) -> bool:
    """Return whether parts of ``network`` get their shapes only in the first run, which then must not be undone."""
    from torch.nn.parameter import is_lazy as has_no_shape

    return any(has_no_shape(tensor) for tensor in (*network.parameters(), *network.buffers()))


def _generators() -> Iterator[Undo]:
    import torch

    of_torch, of_numpy, of_python = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    yield lambda: torch.set_rng_state(of_torch)
    yield lambda: np.random.set_state(of_numpy)  # noqa: NPY002  a network may use the old generator
    yield lambda: random.setstate(of_python)


def _contents(network: torch.nn.Module) -> Iterator[Undo]:
    import torch

    for module in network.modules():
        if isinstance(module, torch.jit.ScriptModule):
            for buffer in module.buffers(recurse=False):
                yield from _content(buffer, DEPTH)
            continue
        attributes = {name: value for name, value in vars(module).items() if name not in OWN}
        for mapping, items in ((module._buffers, dict(module._buffers)), (vars(module), attributes)):
            for value in items.values():
                yield from _content(value, DEPTH)
            yield _resetting(mapping, items, keep=OWN)


def _resetting(mapping: MutableMapping[Any, Any], items: dict[Any, Any], *, keep: tuple[str, ...] = ()) -> Undo:
    """Give ``mapping`` its former ``items`` back, and remove later ones."""

    def undo() -> None:
        for name in [name for name in mapping if name not in items and name not in keep]:
            del mapping[name]
        mapping.update(items)

    return undo


def _content(value: Any, depth: int) -> Iterator[Undo]:
    """Restore what is inside ``value``, which stays the same object."""
    import torch

    if isinstance(value, torch.Tensor):
        yield from _tensor(value)
    elif isinstance(value, np.ndarray):
        former = value.copy()
        yield lambda: np.copyto(value, former)
    elif depth and isinstance(value, dict):
        yield from (undo for item in value.values() for undo in _content(item, depth - 1))
        yield _resetting(value, dict(value))
    elif depth and isinstance(value, list | deque | set):
        yield from (undo for item in value for undo in _content(item, depth - 1))
        yield _refilling(value, list(value))
    elif depth and isinstance(value, tuple):
        yield from (undo for item in value for undo in _content(item, depth - 1))
    elif depth and is_user_object(value):
        yield from (undo for item in vars(value).values() for undo in _content(item, depth - 1))
        yield _resetting(vars(value), dict(vars(value)))


def _refilling(value: Any, items: list[Any]) -> Undo:
    def undo() -> None:
        value.clear()
        (value.update if isinstance(value, set) else value.extend)(items)

    return undo


def _tensor(value: torch.Tensor) -> Iterator[Undo]:
    import torch

    if torch.nn.parameter.is_lazy(value) or isinstance(value, torch.nn.Parameter):
        return
    former, version = value.detach().clone(), value._version

    def undo() -> None:
        if value._version != version or not torch.equal(value, former):
            # ``data`` rather than `copy_`, because the shape may have changed as well.
            value.data = former.clone() if value.shape != former.shape else value.data.copy_(former)

    yield undo


def is_user_object(value: object) -> bool:
    """Return whether ``value`` is an instance of a user's class, whose attributes can hold state."""
    import torch

    code = (type, FunctionType, MethodType, ModuleType, torch.nn.Module)
    home = type(value).__module__.partition(".")[0]
    return hasattr(value, "__dict__") and not isinstance(value, code) and home not in ("builtins", "torch", "numpy")
