"""Which files use which, read from their source: imports anywhere in a file, modules named in strings, and fixtures.

A ``conftest.py`` is split into its definitions, because nearly every test uses one of them and hardly any uses all.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
FOLDERS = ("harness", "models", "tests")
# Started as ``python -m harness``, so no import names it.
PROGRAM = "harness"
# Hands on the names of the Python interface when they are used. Every module imports it, and only tests use the names.
PACKAGE = "harness/__init__.py"
INTERFACE = "harness.api."


@dataclass(slots=True)
class Graph:
    """What each file uses. A node is a path below the root, or ``conftest.py::name`` for a definition of a conftest."""

    uses: dict[str, set[str]] = field(default_factory=dict)

    def users_of(self, changed: Iterable[str]) -> dict[str, int]:
        """Return every node that uses a changed one, with the number of steps between the two."""
        used_by: dict[str, set[str]] = {}
        for node, targets in self.uses.items():
            for target in targets:
                used_by.setdefault(target, set()).add(node)
        return _distances(changed, used_by)

    def used_by(self, start: str) -> set[str]:
        """Return every node that ``start`` uses, itself included."""
        return set(_distances([start], self.uses))


def _distances(start: Iterable[str], edges: dict[str, set[str]]) -> dict[str, int]:
    steps = dict.fromkeys(start, 0)
    waiting = deque(steps)
    while waiting:
        node = waiting.popleft()
        for target in edges.get(node, ()):
            if target not in steps:
                steps[target] = steps[node] + 1
                waiting.append(target)
    return steps


def read_graph(root: Path = ROOT) -> Graph:
    """Read the graph of all Python files of the project."""
    paths = sorted(path.relative_to(root).as_posix() for folder in FOLDERS for path in (root / folder).rglob("*.py"))
    reader = _Reader(modules={_module(path): path for path in paths})
    graph = Graph()
    for path in paths:
        tree = ast.parse((root / path).read_bytes(), path)
        if PurePosixPath(path).name == "conftest.py":
            graph.uses |= reader.definitions(path, tree)
        else:
            graph.uses[path] = set() if path == PACKAGE else reader.used(path, tree)
    return graph


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Finds what a piece of source uses. ``modules`` maps the name of a module to its file."""

    modules: dict[str, str]

    def used(self, path: str, tree: ast.AST) -> set[str]:
        """Return the nodes that ``tree``, of the file ``path``, uses."""
        nodes = list(ast.walk(tree))
        found = {target for node in nodes for target in self._imported(node)}
        words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found |= {self.modules[word] for word in words if "." in word and word in self.modules}
        if PROGRAM in words:
            found.add(f"{PROGRAM}/__main__.py")
        if path.startswith("tests/"):
            if PACKAGE in found:
                found |= {file for module, file in self.modules.items() if module.startswith(INTERFACE)}
            # The parameters of a test and the words of ``usefixtures`` name fixtures.
            names = words | {node.arg for node in nodes if isinstance(node, ast.arg)}
            found |= {f"{conftest}::{name}" for conftest in self._conftests(path) for name in names}
        return found - {path}

    def definitions(self, path: str, tree: ast.Module) -> dict[str, set[str]]:
        """Return what each definition of a conftest uses. Each also uses the conftest itself."""
        parts = {name: part for part in tree.body for name in _defined(part)}
        nodes = {f"{path}::{name}": self._part(path, part, parts) for name, part in parts.items()}
        return {**nodes, path: set()}

    def _part(self, path: str, part: ast.stmt, parts: dict[str, ast.stmt]) -> set[str]:
        names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
        names |= {node.arg for node in ast.walk(part) if isinstance(node, ast.arg)}
        own = {f"{path}::{name}" for name in names if name in parts and parts[name] is not part}
        return own | self.used(path, part) | {path}

    def _imported(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import():
                yield from (self.modules[alias.name] for alias in node.names if alias.name in self.modules)
            case ast.ImportFrom(module=str(module)) if module in self.modules:
                source = self.modules[module]
                for alias in node.names:
                    inner = self.modules.get(f"{module}.{alias.name}")
                    yield inner or (f"{source}::{alias.name}" if source.endswith("conftest.py") else source)
            case ast.ImportFrom(module=str(module)):
                names = (f"{module}.{alias.name}" for alias in node.names)
                yield from (self.modules[name] for name in names if name in self.modules)

    def _conftests(self, path: str) -> Iterator[str]:
        folders = (f"{parent}/conftest.py" for parent in PurePosixPath(path).parents)
        return (conftest for conftest in folders if _module(conftest) in self.modules)


def _defined(part: ast.stmt) -> list[str]:
    """The names that a top-level statement defines."""
    match part:
        case ast.FunctionDef() | ast.ClassDef():
            return [part.name]
        case ast.Assign():
            return [target.id for target in part.targets if isinstance(target, ast.Name)]
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name for alias in part.names]
    return []


def _module(path: str) -> str:
    """The name under which a file is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
