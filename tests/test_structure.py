"""Rules of the code base that no type checker holds: the direction of imports, light starts, documented commands."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import cli

ROOT = Path(__file__).parents[1]

# From the leaves up: a module imports from its own layer and those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "progress"),
    ("system", "stats"),
    ("wire",),
    ("readers",),
    ("signing",),
    ("spec",),
    ("records",),
    ("model",),
    ("scoring",),
    ("plan", "variants"),
    ("runners",),
    ("artifacts",),
    ("devices",),
    ("leases",),
    ("measure",),
    ("store",),
    ("farm",),
    ("compare", "history", "search"),
    ("report",),
    ("exchange",),
    ("clouds",),
    ("workflows",),
    ("dashboard",),
    ("api",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# What a runner may use: it must work without the harness.
RUNNER_MAY = {"wire", "readers", "runners", "system"}

HEAVY = (
    "torch",
    "executorch",
    "litert_torch",
    "ai_edge_litert",
    "onnx",
    "onnxruntime",
    "sklearn",
    "torch_pruning",
    "coremltools",
    "tensorflow",
    "keras",
    "sqlalchemy",
    "pandas",
    "matplotlib",
    "sqlalchemy",
    "pyarrow",
    "distributed",
    "tornado",
    "cryptography",
    "starlette",
    "boto3",
    "botocore",
    "uvicorn",
)


def imports_of(path: Path) -> set[str]:
    """The first names below ``harness`` that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "harness":
            found.update(a.name for a in node.names if a.name in RANK)
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("harness."))
    return found


def sources() -> list[Path]:
    """All files of the package but its empty root and the probe's network."""
    files = (ROOT / "harness").rglob("*.py")
    return sorted(
        f for f in files if f.name != "__init__.py" or f.parent.name != "harness" if "probe_model" not in f.parts
    )


def part_of(path: Path) -> str:
    """The name below ``harness`` that a file belongs to."""
    return path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = part_of(path)
    late = {name for name in imports_of(path) if RANK[name] > RANK[own]}
    assert not late, f"{own} imports {late}, which come after it"


def test_the_runner_works_without_the_harness() -> None:
    for path in (ROOT / "harness" / "runners" / "host").rglob("*.py"):
        assert imports_of(path) <= RUNNER_MAY, path


@pytest.mark.parametrize(
    "module",
    ["harness.cli", "harness.workflows.run", "harness.report.view", "harness.store.reader", "harness.store.writer"],
)
def test_nothing_heavy_is_imported_at_start(module: str) -> None:
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_the_command_line_starts_without_numpy() -> None:
    code = "import sys, harness.cli; print('numpy' in sys.modules, 'rich' in sys.modules, 'msgspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False", "False"]


def commands_below(command: click.Command) -> list[click.Command]:
    """A command and, for a group, those in it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *(c for child in below for c in commands_below(child))]


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_and_option_is_documented(name: str) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    assert f"## phonebench {name}" in text
    section = text.split(f"## phonebench {name}", 1)[1].split("\n## ", 1)[0]
    for command in commands_below(cli.commands[name]):
        for option in (option for parameter in command.params for option in parameter.opts):
            if option.startswith("--"):
                assert option in section, f"{command.name} {option}"


def test_nothing_committed_names_a_registry_or_a_home() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "index-url" not in lock
