"""What phonebench puts on a board: the source of the agent, and the host runner as one archive."""

from __future__ import annotations

import ast
import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import harness

ROOT = Path(harness.__file__).resolve().parent
# In the order in which they import each other.
AGENT = (
    "harness.runners.host.readings",
    "harness.devices.ssh.board.clocks",
    "harness.devices.ssh.board.facts",
    "harness.devices.ssh.board.store",
    "harness.devices.ssh.board.jobs",
    "harness.devices.ssh.board.agent",
)
_RUNNER = "harness.runners.host.__main__"
# A fixed time, so that the same sources give the same archive.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A zip file in memory: its bytes, their digest, and how large its content is."""

    data: bytes
    sha256: str
    unpacked_bytes: int


@cache
def agent_source() -> bytes:
    """Return one Python program that defines the agent's modules and runs the agent."""
    modules = [(name, _file_of(name).read_text(encoding="utf-8")) for name in AGENT]
    loader = (
        "import sys, types\n"
        f"for name, source in {modules!r}:\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(source, name, 'exec'), module.__dict__)\n"
        f"sys.modules[{AGENT[-1]!r}].main()\n"
    )
    return loader.encode()


@cache
def runner_archive() -> Archive:
    """Return the host runner with every module of phonebench that it imports, and nothing else."""
    files = _closure(_RUNNER)
    packages = {folder for name in files for folder in _folders_above(name)}
    buffer = io.BytesIO()
    total = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted({*(_file_of(name) for name in files), *(_file_of(name) for name in packages)}):
            data = path.read_bytes()
            total += len(data)
            info = zipfile.ZipInfo(str(path.relative_to(ROOT.parent)), _EPOCH)
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    data = buffer.getvalue()
    return Archive(data=data, sha256=hashlib.sha256(data).hexdigest(), unpacked_bytes=total)


def _closure(start: str) -> set[str]:
    """The modules of phonebench that ``start`` imports, directly or not, also those imported in functions."""
    modules: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        modules.add(name)
        waiting += [other for other in _imports(_file_of(name)) if other not in modules]
    return modules


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "harness":
            # What is imported from a package may be a module of it.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] == "harness"}
    return {name for name in names if _path_of(name) is not None}


def _folders_above(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


def _file_of(name: str) -> Path:
    path = _path_of(name)
    if path is None:
        msg = f"phonebench's own module {name!r} is missing: install phonebench again"
        raise FileNotFoundError(msg)
    return path


def _path_of(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split(".")[1:])
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
