"""Finds a name in a Python file without running it, so that a mistake is reported before any work starts."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

from harness.errors import UsageError
from harness.system.small_files import read_small

# The largest generated modules have a tenth of this.
MOST_SOURCE_BYTES = 16 << 20

# Code with one of these can define a name that no statement shows.
_DYNAMIC = frozenset({"__getattr__", "globals", "exec", "eval", "setattr", "vars"})


def check_defined(name: str, file: Path, what: str) -> None:
    """Raise `UsageError`, beginning with ``what``, unless the Python in ``file`` parses and may define ``name``.

    Only the first part of a dotted name is looked for, and only in source code that is not installed: packages define
    names in ways that reading them does not show.
    """
    if file.suffix != ".py" or {"site-packages", "dist-packages"} & set(file.parts):
        return
    try:
        tree = ast.parse(read_small(file, MOST_SOURCE_BYTES), filename=str(file))
    except OSError as error:
        msg = f"{what}: cannot read {str(file)!r}: {error.strerror}"
        raise UsageError(msg) from error
    except (SyntaxError, ValueError) as error:
        place = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        source = f"\n    {error.text.rstrip()}" if isinstance(error, SyntaxError) and error.text else ""
        problem = error.msg if isinstance(error, SyntaxError) else str(error)
        msg = f"{what}: {file}{place}: {problem}{source}"
        raise UsageError(msg) from error
    first = name.partition(".")[0]
    names = _module_names(tree)
    if names is not None and first not in names:
        near = difflib.get_close_matches(first, names, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"define {first!r} there, or correct the name"
        msg = f"{what}: {file} has no {first!r}; {advice}"
        raise UsageError(msg)


def _module_names(tree: ast.Module) -> set[str] | None:
    """Return the names that the module defines, None where running it could define others."""
    names: set[str] = set()
    for node in _module_level(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            if any(alias.name == "*" for alias in node.names):
                return None
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return None if _DYNAMIC & (names | used) else names


def _module_level(tree: ast.Module) -> list[ast.AST]:
    """Every node outside functions and classes: names inside them are not names of the module."""
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return nodes
