"""Watches one run of a network, operator by operator, for what decides whether its files can be right.

A file has no Python. It cannot follow a branch on a value, has its own random generator or none, and keeps no buffers
between calls. The run shows where the network does such things, with the line of the user's code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.model.user_code import is_foreign

if TYPE_CHECKING:
    import torch

# Operators that hand a value of a tensor to Python, which may branch on it.
_READS = ("_local_scalar_dense", "is_nonzero", "equal")
# Operators that return indices in the order of values, by name: the position of the indices among their outputs.
_INDICES = {
    "topk": 1, "sort": 1, "argsort": 0, "argmax": 0, "argmin": 0, "max": 1, "min": 1, "kthvalue": 1, "median": 1,
    "mode": 1, "cummax": 1, "cummin": 1, "nms": 0,
}  # fmt: skip
# Operators that sum over what was picked: their results depend on the set and hardly on its order.
_SUMS = ("mm", "bmm", "addmm", "baddbmm", "convolution", "sum", "mean", "linear", "index_add", "scatter_add")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a run did, each with its place in the user's code.

    ``random``: operators that draw random numbers. ``reads``: where a value that depends on the input was read.
    ``writes``: where a buffer or attribute was written in place, by the name of the tensor. ``input_writes``: the same
    for inputs, by position. ``ordered``: the positions of outputs that were picked in an order.
    """

    random: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: dict[str, str] = field(default_factory=dict)
    input_writes: dict[int, str] = field(default_factory=dict)
    ordered: tuple[int, ...] = ()


def watch(network: torch.nn.Module, inputs: Sequence[torch.Tensor], folder: Path) -> Watched:
    """Run ``network`` once on ``inputs`` and return what it did. ``folder`` holds the user's code.

    Raises whatever the network raises.
    """
    import torch

    from harness.model.outputs import flat

    seen = _Seen(network, inputs, folder)
    with torch.no_grad(), _watching(seen):
        outputs = flat(network(*inputs))
    return seen.watched(outputs)


def _watching(seen: _Seen) -> AbstractContextManager[object]:
    """A context in which ``seen`` notes every operator that runs."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        """Runs each operator, and has it noted."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ARG002
            result = func(*args, **(kwargs or {}))
            seen.note(func, (args, kwargs), result)
            return result

    return Recorder()  # type: ignore[no-untyped-call]


class _Seen:
    """What a run has done so far. Marks on tensors say what they were computed from."""

    def __init__(self, network: torch.nn.Module, inputs: Sequence[torch.Tensor], folder: Path) -> None:
        from torch.utils.weak import WeakIdKeyDictionary

        self._from_input = WeakIdKeyDictionary(dict.fromkeys(inputs, True))
        self._picked = WeakIdKeyDictionary()
        self._places = _Places(network, folder)
        self._owners = _owners(network)
        self._inputs = {_storage(tensor): i for i, tensor in enumerate(inputs)}
        # Dicts as sets that keep the order.
        self._random: dict[str, None] = {}
        self._reads: dict[str, None] = {}
        self._writes: dict[str, str] = {}
        self._input_writes: dict[int, str] = {}

    def note(self, func: Any, arguments: tuple[Any, Any], result: Any) -> None:
        """Note a call of the operator ``func``, after it; ``arguments`` are the positional ones and those by name."""
        import torch

        name = func._schema.name.partition("::")[2].rstrip("_")
        tensors = _tensors(arguments)
        if torch.Tag.nondeterministic_seeded in func.tags and "attention" not in name:
            self._random[f"{name} in {self._places.here()}"] = None
        if name in _READS and any(tensor in self._from_input for tensor in tensors):
            self._reads[self._places.here()] = None
        self._note_writes(func, arguments[0])
        self._mark(name, tensors, _tensors(result))

    def _note_writes(self, func: Any, args: Any) -> None:
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            for tensor in _tensors(value):
                at = _storage(tensor)
                if at in self._owners:
                    self._writes.setdefault(self._owners[at], self._places.here())
                elif at in self._inputs:
                    self._input_writes.setdefault(self._inputs[at], self._places.here())

    def _mark(self, name: str, tensors: list[torch.Tensor], results: list[torch.Tensor]) -> None:
        if any(tensor in self._from_input for tensor in tensors):
            for result in results:
                self._from_input[result] = True
        if name not in _SUMS and any(tensor in self._picked for tensor in tensors):
            for result in results:
                self._picked[result] = True
        # Only where real numbers were put in order: integers, such as token ids, are equal in every file.
        at = _INDICES.get(name)
        if at is not None and at < len(results) and _has_floats(tensors):
            self._picked[results[at]] = True

    def watched(self, outputs: Sequence[object]) -> Watched:
        """Return what was seen; ``outputs`` are those of the run."""
        import torch

        return Watched(
            random=tuple(self._random),
            reads=tuple(self._reads),
            writes=self._writes,
            input_writes=self._input_writes,
            ordered=tuple(i for i, y in enumerate(outputs) if isinstance(y, torch.Tensor) and y in self._picked),
        )


def _tensors(value: Any) -> list[torch.Tensor]:
    """The tensors in ``value``, in any nesting."""
    import torch
    from torch.utils._pytree import tree_leaves

    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _has_floats(tensors: Sequence[torch.Tensor]) -> bool:
    return any(tensor.is_floating_point() for tensor in tensors)


def _storage(tensor: torch.Tensor) -> int:
    # The storage rather than the tensor, because a write often goes through a view, such as x[:, 0] = 0.
    return int(tensor.untyped_storage().data_ptr())


def _owners(network: torch.nn.Module) -> dict[int, str]:
    """The name of each buffer, and of each tensor that is a plain attribute, by its storage."""
    import torch

    names: dict[int, str] = {}
    for path, module in network.named_modules():
        own = [] if isinstance(module, torch.jit.ScriptModule) else list(vars(module).items())
        for name, value in [*own, *module.named_buffers(recurse=False), *module.named_parameters(recurse=False)]:
            if isinstance(value, torch.Tensor) and not torch.nn.parameter.is_lazy(value):
                names[_storage(value)] = f"{path}.{name}" if path else name
    return names


class _Places:
    """Words for where the user's code is at the moment."""

    def __init__(self, network: torch.nn.Module, folder: Path) -> None:
        self._names = {id(module): name for name, module in network.named_modules()}
        self._folder = folder

    def here(self) -> str:
        """Return the innermost module that is running, and the line of the user's code."""
        module, line = "", ""
        for frame in _frames():
            own = frame.f_locals.get("self")
            if not module and id(own) in self._names:
                module = f"{self._names[id(own)] or 'forward'} ({type(own).__name__})"
            file = Path(frame.f_code.co_filename)
            if not line and file.is_relative_to(self._folder) and not is_foreign(file):
                line = f"{file.name}, line {frame.f_lineno}"
        return ", ".join(part for part in (module, line) if part) or "forward"


def _frames() -> Iterator[Any]:
    """The frames of the run, the innermost first."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not watch.__code__:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]
