"""The key of a model's source: equal keys mean the same network and the same data.

The key decides whether a model has to be loaded at all. So it is computed from file contents and package versions,
without torch and without importing any of the model's Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.model.card import ModelCard, PartCard, SourceKind
from harness.model.language import PREPARED_LANGUAGE
from harness.model.ready import facts_of
from harness.model.static_names import MOST_SOURCE_BYTES
from harness.model.user_code import find_module, is_reference, split_reference
from harness.system.files import file_sha256
from harness.system.small_files import read_small

# 1 (2026-11): the first.
_SCHEMA = 1

# The folder of a stored run: this file in a folder named by an id. `harness.store` makes both; a test compares them.
_RUN_FILE = "run.json"
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}(?:[0-9a-f]{2})?")


def source_key(card: ModelCard) -> str:
    """Return the SHA-256, in hexadecimal, of everything that the network and the data of ``card`` come from.

    That is every file in its folder (or its single file), the Python that its references reach by ``import``, its
    data, the options, and the versions of the installed packages that this Python imports. Files that a factory opens
    by itself are not seen, unless they lie in a folder with a card.
    """
    digest = hashlib.sha256()
    reach = _reach(card)
    facts = {
        "schema": _SCHEMA,
        "source": card.source if card.kind is SourceKind.PYTHON else card.kind.value,
        "parts": [_part_facts(part) for part in card.parts],
        "whole": None if card.whole is None else [source_key(card.whole), card.name],
        "weights": card.weights,
        "student": card.student,
        "task": card.task.value,
        **_scoring_facts(card),
        "inputs": msgspec.to_builtins(card.inputs),
        "ranges": msgspec.to_builtins(card.ranges),
        **({"state": msgspec.to_builtins(card.state)} if card.state else {}),
        **_language_facts(card),
        "random_weights": card.random_weights,
        "seed": card.seed,
        "data": _data_facts(card),
        "packages": {package: _version(package) for package in sorted(reach.packages | _frameworks(card))},
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for name, file in _files(card, reach):
        digest.update(f"\n{name}\0{file_sha256(file)}".encode())
    return digest.hexdigest()


def source_files(card: ModelCard) -> tuple[tuple[str, Path], ...]:
    """Return the files whose contents `source_key` covers, each with its name there.

    A name begins with ``folder/``, ``source``, ``module/``, ``text/`` or ``data``; that of a module ends with its
    dotted name.
    """
    return tuple(_files(card, _reach(card)))


def source_packages(card: ModelCard) -> dict[str, str]:
    """Return the versions of the installed packages that `source_key` covers, by the name that is imported."""
    return {package: _version(package) for package in sorted(_reach(card).packages | _frameworks(card))}


def _frameworks(card: ModelCard) -> set[str]:
    """The packages that read the model's file, where the network they make of it depends on their version."""
    return {"tensorflow"} if card.kind is SourceKind.KERAS else set()


def _data_facts(card: ModelCard) -> object:
    """The data card without a path, because only the content of the data counts."""
    if card.data is None:
        return None
    facts: dict[str, object] = {k: v for k, v in msgspec.to_builtins(card.data).items() if v is not None}
    return facts if is_reference(card.data.source) else facts | {"source": "files"}


def _language_facts(card: ModelCard) -> dict[str, object]:
    """Which texts a language model is asked about; their contents count with the files."""
    if card.language is None:
        return {}
    return {"language": [card.language.text is not None, card.language.choices is not None, PREPARED_LANGUAGE]}


def _scoring_facts(card: ModelCard) -> dict[str, object]:
    """How answers are read from outputs, as far as the card says so: without it, keys stay what they were."""
    ready = card.metric is not None and not is_reference(card.metric)
    facts = {
        "class_axis": card.class_axis,
        "ignore_index": card.ignore_index,
        # A ready metric needs the labels, which are stored with the data.
        "metric": card.metric if ready else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _part_facts(part: PartCard) -> dict[str, object]:
    """A part without the path of its file, which counts as a file of the folder."""
    facts: dict[str, object] = msgspec.to_builtins(part)
    return facts if part.kind is SourceKind.PYTHON else facts | {"source": Path(part.source).name}


def _files(card: ModelCard, reach: _Reach) -> Iterator[tuple[str, Path]]:
    """The files to hash, each with a name that does not depend on where it is stored."""
    if card.folder is not None:
        yield from _below(card.folder, "folder")
    elif card.kind is not SourceKind.PYTHON:
        source = Path(card.source)
        yield from _below(source, "source") if source.is_dir() else [("source", source)]
        yield from _companions(card)
    for module, file in sorted(reach.files.items()):
        yield f"module/{module}", file
    for name in (card.language.text, card.language.choices) if card.language is not None else ():
        if name is not None:
            yield f"text/{Path(name).name}", Path(name)
    if card.data is not None and card.data.source and not is_reference(card.data.source):
        data = Path(card.data.source)
        if card.folder is None or not data.is_relative_to(card.folder):
            yield from _below(data, "data") if data.is_dir() else [("data", data)]


def _companions(card: ModelCard) -> Iterator[tuple[str, Path]]:
    """The files beside a ready-made file that hold its weights. One that is missing is reported when it is needed."""
    facts = facts_of(card)
    for name in facts.companions if facts is not None else ():
        path = Path(card.source).with_name(Path(name).name)
        if path.is_file():
            yield f"source/{name}", path


def _below(folder: Path, label: str) -> Iterator[tuple[str, Path]]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    results = _results_folders(folder, files)
    for file in files:
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if not hidden and results.isdisjoint(file.parents):
            yield "/".join((label, *parts)), file


def _results_folders(folder: Path, files: list[Path]) -> set[Path]:
    """The results folders below ``folder``: ``phonebench run .`` creates one beside the card.

    They must not count. Otherwise each run would change the key, and the next one would build everything again.
    """
    runs = {file.parent for file in files if file.name == _RUN_FILE and _RUN_ID.fullmatch(file.parent.name)}
    return {run if run.parent == folder else run.parent for run in runs}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """What the references of a card reach: the author's own Python files by module, and installed packages."""

    files: dict[str, Path] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)


def _reach(card: ModelCard) -> _Reach:
    reach = _Reach()
    parts = (text for part in card.parts for text in (part.source, part.weights))
    scoring = (card.metric, card.metric_options.decode)
    named = (card.source, card.weights, card.student, card.data.source if card.data else None, *scoring, *parts)
    todo = [split_reference(text)[0] for text in named if text is not None and is_reference(text)]
    while todo:
        module = todo.pop()
        if module in reach.files:
            continue
        file = find_module(module, card.folder)
        if file is not None and _is_own(file):
            reach.files[module] = file
            # Importing a.b also runs a/__init__.py.
            todo += [*_imports(module, file), *_parents(module)]
        elif module.partition(".")[0] not in sys.stdlib_module_names:
            top = module.partition(".")[0]
            # `from mine import thing` lists mine.thing, which need not be a module. Its file counts through mine.
            if (top_file := find_module(top, card.folder)) is None or not _is_own(top_file):
                reach.packages.add(top)
    return reach


def _is_own(file: Path) -> bool:
    return not {"site-packages", "dist-packages"} & set(file.parts) and file.suffix == ".py" and not _is_stdlib(file)


def _is_stdlib(file: Path) -> bool:
    return file.is_relative_to(Path(ast.__file__).parent)


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _imports(module: str, file: Path) -> Iterable[str]:
    """The absolute names of the modules that ``file`` may import. Python that does not parse will fail on load."""
    try:
        tree = ast.parse(read_small(file, MOST_SOURCE_BYTES))
    except (SyntaxError, OSError):
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    # One leading dot means the module's own package, and each further dot its parent.
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])


@functools.cache
def _version(package: str) -> str:
    # Most packages lie in the distribution of their name. To find the others, the files of all have to be listed.
    names = [package] if _is_its_own_distribution(package) else _distributions().get(package, [package])
    try:
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _is_its_own_distribution(package: str) -> bool:
    try:
        own = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    places = (own.locate_file(package), own.locate_file(f"{package}.py"))
    return own.metadata["Name"] == package and any(Path(str(place)).exists() for place in places)


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())
