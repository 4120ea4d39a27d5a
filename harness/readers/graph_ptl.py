"""The nodes and edges of a ``.ptl`` file, from the code in it, which is Python that is parsed and never run.

Frozen files, which phonebench writes, keep their numbers in ``constants.pkl`` and call no other module. Of a file with
modules of its own the calls of modules are nodes.
"""

from __future__ import annotations

import ast
import io
import pickle
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.readers.archive import read_members
from harness.readers.graph import Graph, Step, Stored, link
from harness.readers.ptl import STORAGES

_CODE, _CONSTANTS = re.compile(r"/code/.*\.py$"), "/constants.pkl"
_NO_NODES = {"annotate", "unchecked_cast", "list", "int", "float", "bool", "uninitialized", "len", "range"}


def read_ptl_graph(path: Path) -> Graph:
    """Return the graph. Raises `ValueError` if the file does not parse, `OSError` if it cannot be read."""
    try:
        members = read_members(path, lambda name: bool(_CODE.search(name)) or name.endswith(_CONSTANTS))
        codes = [data.decode() for name, data in members.items() if not name.endswith(_CONSTANTS)]
        constants = [data for name, data in members.items() if name.endswith(_CONSTANTS)]
        numbers = _numbers(constants[0]) if constants else []
        forward = _forward(codes)
        steps = list(_Code().steps(forward.body))
    except OSError:
        raise
    # Damaged code does not parse, and a damaged pickle raises whatever its next instruction does.
    except Exception as error:
        msg = f"it is not a TorchScript archive, or it is damaged: {error}"
        raise ValueError(msg) from error
    stored = {f"c{at}": tensor for at, tensor in enumerate(numbers) if tensor is not None}
    inputs = [argument.arg for argument in forward.args.args[1:]]
    return link(steps, stored, inputs)


def _forward(codes: list[str]) -> ast.FunctionDef:
    """The method ``forward`` of the top module."""
    modules = [top for code in codes for top in ast.parse(_as_python(code)).body if isinstance(top, ast.ClassDef)]
    methods = [f for module in modules for f in module.body if isinstance(f, ast.FunctionDef) and f.name == "forward"]
    if not methods:
        msg = "it has no method forward"
        raise ValueError(msg)
    # A file with modules of its own lists them before the module that contains them.
    return methods[-1]


def _as_python(code: str) -> str:
    # Class names hold dots, and so do the names of modules in types; neither matters for the graph.
    return re.sub(r"^(class )[\w.]+\.(\w+)", r"\1\2", code, flags=re.MULTILINE)


@dataclass(slots=True)
class _Code:
    """Turns statements into steps.

    ``count`` numbers the values that have no name of their own. ``same`` has the names of the values that lists, tuples
    and other names stand for.
    """

    count: int = 0
    made: list[Step] = field(default_factory=list)
    same: dict[str, list[str]] = field(default_factory=dict)

    def steps(self, body: list[ast.stmt]) -> Iterator[Step]:
        """Yield the steps of ``body``, and of the branches and loops in it as if they ran in a row."""
        for statement in body:
            match statement:
                case ast.Assign(targets=[target], value=value):
                    self._evaluate(value, [n.id for n in ast.walk(target) if isinstance(n, ast.Name)])
                case ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
                    self._evaluate(value, [])
                case ast.If(test=test, body=then, orelse=other) | ast.While(test=test, body=then, orelse=other):
                    self._evaluate(test, [])
                    yield from self._flush()
                    yield from self.steps(then)
                    yield from self.steps(other)
            yield from self._flush()

    def _flush(self) -> Iterator[Step]:
        yield from self.made
        self.made.clear()

    def _evaluate(self, value: ast.expr, names: list[str]) -> list[str]:
        """Note the calls in ``value`` as steps, and return the names of what it stands for; ``names`` take it."""
        match value:
            case ast.Name(id=name):
                reads = self.same.get(name, [name])
            case ast.Attribute(value=ast.Name(id="CONSTANTS"), attr=name):
                reads = [name]
            case ast.Call(func=func, args=args) if (kind := _kind(func)) not in _NO_NODES:
                reads = [name for part in args for name in self._evaluate(part, [])]
                return self._write(kind, reads, names or [self._fresh()])
            case _:
                parts = [child for child in ast.iter_child_nodes(value) if isinstance(child, ast.expr)]
                reads = [name for part in parts for name in self._evaluate(part, [])]
        for name in names:
            self._also(name, reads)
        return reads

    def _write(self, kind: str, reads: list[str], writes: list[str]) -> list[str]:
        self.made.append(Step(name=writes[0], kind=kind, reads=reads, writes=writes))
        for name in writes:
            self._also(name, [name])
        return writes

    def _also(self, name: str, values: list[str]) -> None:
        """Note what ``name`` stands for: of two branches that set it, what it is in either."""
        self.same[name] = list(dict.fromkeys((*self.same.get(name, ()), *values)))

    def _fresh(self) -> str:
        self.count += 1
        return f"#{self.count}"


def _kind(func: ast.expr) -> str:
    """``torch.conv2d`` is ``aten::conv2d``, ``ops.quantized.linear`` is ``quantized::linear``."""
    name = ast.unparse(func)
    if name.startswith("torch."):
        return f"aten::{name.removeprefix('torch.')}"
    return name.removeprefix("ops.").replace(".", "::")


@dataclass(slots=True)
class _Object:
    """Takes the place of every object in a pickle, and keeps the tensors that it was made from."""

    tensors: list[Stored] = field(default_factory=list)

    def __setstate__(self, state: Any) -> None:
        """Keep the tensors in the state."""
        self.tensors = list(_tensors(state))


class _Constants(pickle.Unpickler):
    """Reads ``constants.pkl`` with stand-ins, so that no code of the file runs."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ARG002
        """Return what makes a stand-in for ``name``."""
        if name.endswith("Storage"):
            return STORAGES.get(name, name)
        if name.startswith("_rebuild") and "tensor" in name:
            return _tensor
        return _Object if name.endswith(("Base", "Params")) else _object

    def persistent_load(self, pid: Any) -> Any:
        """Return the type of a storage."""
        return str(pid[1])


def _tensor(storage: Any, _: Any, size: Any, *__: Any) -> Stored:
    return Stored(name="", kind=str(storage), shape=tuple(int(n) for n in size))


def _object(*arguments: Any) -> _Object:
    return _Object(list(_tensors(arguments)))


def _tensors(value: Any, seen: set[int] | None = None) -> Iterator[Stored]:
    """Yield each tensor in ``value`` once; ``seen`` has the ids of what was visited.

    A pickle can put one list into another twice, that one into a third twice, and so on: a kilobyte of it would
    otherwise hold more tensors than can be counted.
    """
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Stored):
        yield value
        return
    parts: Iterable[Any] = ()
    if isinstance(value, _Object):
        parts = value.tensors
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    for part in parts:
        yield from _tensors(part, seen)


def _numbers(data: bytes) -> list[Stored | None]:
    """The largest tensor of each constant, in the order in which the code names them."""
    constants = _Constants(io.BytesIO(data)).load()
    found = [list(_tensors(constant)) for constant in constants]
    return [max(tensors, key=lambda tensor: tensor.count) if tensors else None for tensors in found]
