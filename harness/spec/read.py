"""Reads a spec from a TOML file or from command-line options."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import UnknownNameError, UsageError
from harness.spec.decode import check_keys, check_name, decode, read_toml
from harness.spec.phone_settings import Clocks, Cores, PhoneRunner
from harness.spec.profiles import ProfileName
from harness.spec.recipe import STEPS, Recipe
from harness.spec.shorthand import parse_recipe
from harness.spec.spec import Spec
from harness.wire import Delegate, Format

# Names of imported results, which nobody can ask for.
_IMPORTED = (Format.OTHER, Delegate.UNKNOWN, ProfileName.IMPORTED)
KEYS = tuple(f.name for f in fields(Spec))
_LIST_KEYS = ("model", "device", "format", "variant", "delegate", "threads", "input", "binary", "prompt")
_NAMES: dict[str, type[StrEnum]] = {
    "format": Format,
    "delegate": Delegate,
    "profile": ProfileName,
    "clocks": Clocks,
    "cores": Cores,
    "runner": PhoneRunner,
}


def read_spec(path: Path) -> dict[str, Any]:
    """Return the values in the TOML file at ``path``. Raises `UsageError` for a broken file or an unknown key."""
    try:
        values = read_toml(path, what="the spec file")
    except FileNotFoundError:
        msg = f"there is no spec file {str(path)!r}: write one, or check the path"
        raise UsageError(msg) from None
    check_keys(values, KEYS, where=str(path))
    return values


def make_spec(values: dict[str, Any], *, where: str = "") -> Spec:
    """Return the spec of plain values, in which a single value may stand for a list of one.

    ``where`` names the source in errors; empty for the command line. Raises `UsageError`.
    """
    ready: dict[str, Any] = {}
    if "recipe" in values:
        values = values | {"recipe": _read_recipes(values["recipe"], where=where)}
        # Without a list of variants, the recipes are what the user wants to run.
        values.setdefault("variant", [recipe.name for recipe in values["recipe"]])
    own = {recipe.name for recipe in values.get("recipe", ())}
    for key, value in values.items():
        if key == "recipe":
            ready[key] = value
            continue
        _check_flat(key, value, where=where)
        listed = [value] if key in _LIST_KEYS and not isinstance(value, list | tuple) else value
        if key in _NAMES:
            for name in listed if isinstance(listed, list | tuple) else [listed]:
                check_name(key, name, [m for m in _NAMES[key] if m not in _IMPORTED], where=where)
        if key == "variant":
            for name in listed:
                if name not in own:
                    parse_recipe(str(name), where=where)
        # A repeated name would make two cells with the same key.
        ready[key] = list(dict.fromkeys(listed)) if isinstance(listed, list | tuple) else listed
    return decode(ready, Spec, where=where or "the command line")


def _read_recipes(tables: object, *, where: str) -> tuple[Recipe, ...]:
    """Return the recipes in the ``[[recipe]]`` tables. Raises `UsageError`."""
    if isinstance(tables, tuple) and all(isinstance(table, Recipe) for table in tables):
        return tables
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        msg = f"recipe in {where} must be an array of tables: write [[recipe]], not [recipe]"
        raise UsageError(msg)
    return tuple(read_recipe(table, where=f"[[recipe]] number {n} of {where}") for n, table in enumerate(tables, 1))


def read_recipe(table: dict[str, Any], *, where: str) -> Recipe:
    """Return the recipe of one ``[[recipe]]`` table. Raises `UsageError` naming the key, with the nearest match."""
    check_keys(table, Recipe.__struct_fields__, where=where)
    for number, step in enumerate(table.get("steps", ()), 1):
        _check_step(step, where=f"step {number} of {where}")
    return decode(table, Recipe, where=where)


def _check_step(step: object, *, where: str) -> None:
    kind = step.get("step") if isinstance(step, dict) else None
    if not isinstance(step, dict) or kind not in STEPS:
        raise UnknownNameError(str(kind), kind="step", allowed=STEPS, where=where)
    check_keys(step, ("step", *STEPS[kind].__struct_fields__), where=where)


def _check_flat(key: str, value: object, *, where: str) -> None:
    """Raise `UsageError` for a table or a list inside a list, which no key takes."""
    items = value if isinstance(value, list | tuple) else [value]
    nested = next((item for item in items if isinstance(item, list | tuple | dict)), None)
    if nested is not None:
        msg = f"{key} contains {nested!r} in {where or 'the command line'}: give a single value or a list of values"
        raise UsageError(msg)
