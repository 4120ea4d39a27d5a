"""A spec: everything a run was asked for, whether by command line or by a TOML file, in one frozen record.

The keys of the file are the names of the options. Nothing is loaded here; names are checked against their closed
sets, and an unknown one is refused with its nearest match.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UnknownNameError, UsageError, suggestion
from harness.phonesettings import Clocks, Cores, PhoneRunner, PhoneSettings, read_binaries
from harness.profiles import ProfileName
from harness.recipe import STEPS, Recipe
from harness.shorthand import DEFAULT_VARIANTS, parse_recipe, recipes_of
from harness.wire import Delegate, Format

# What a run builds when no format is named; an .mlpackage can be built here, but runs on Apple's systems alone.
DEFAULT_FORMATS = (Format.PTE, Format.TFLITE, Format.ONNX, Format.PTL)


# Those whose figures a summary of the calls is enough for.
_SHELL_PROFILES = (ProfileName.QUICK, ProfileName.STANDARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run. An empty ``delegate`` means each format's usual one; ``input`` items read ``NAME:DTYPE:1x3x8x8``.

    ``variant`` holds short names, or names of ``recipe`` tables, which come before equal short names.
    ``timeout``: seconds that one launch may take, worked out from the profile when it is None. ``clocks``, ``cores``,
    ``runner`` and the ``binary`` items of the shell runner (``PATH`` or ``FORMAT=PATH``) are settings of phones, which
    other devices do not have. ``parts``: run each part of a model of several by itself as well.
    """

    model: tuple[str, ...] = ("digits",)
    device: tuple[str, ...] = ("host",)
    format: tuple[Format, ...] = DEFAULT_FORMATS
    variant: tuple[str, ...] = tuple(p.value for p in DEFAULT_VARIANTS)
    recipe: tuple[Recipe, ...] = ()
    delegate: tuple[Delegate, ...] = ()
    threads: tuple[int, ...] = (1,)
    profile: ProfileName = ProfileName.QUICK
    launches: int | None = None
    timeout: float | None = None
    clocks: Clocks = Clocks.DEFAULT
    cores: Cores = Cores.ANY
    runner: PhoneRunner = PhoneRunner.APP
    binary: tuple[str, ...] = ()
    parts: bool = False
    random_weights: bool = False
    input: tuple[str, ...] = ()
    data: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check_recipe_names(self.recipe)
        recipes_of(self.variant, self.recipe)
        for key in ("model", "device", "format", "variant", "threads"):
            if not getattr(self, key):
                msg = f"{key} is empty: name at least one, or leave it out for the default"
                raise UsageError(msg)
        if any(t < 1 or t > 256 for t in self.threads):
            msg = f"threads are {list(self.threads)}: each must be from 1 to 256"
            raise UsageError(msg)
        if self.launches is not None and not 1 <= self.launches <= 1000:
            msg = f"launches is {self.launches}: it must be from 1 to 1000"
            raise UsageError(msg)
        if not 0 <= self.seed < 2**32:
            msg = f"seed is {self.seed}: it must be from 0 to {2**32 - 1}"
            raise UsageError(msg)
        if self.timeout is not None and not 1 <= self.timeout <= 86_400:
            msg = f"timeout is {self.timeout:g}: it must be from 1 to 86400 seconds"
            raise UsageError(msg)
        self._check_runner()

    def _check_runner(self) -> None:
        """Raise `UsageError` unless the runner, its programs and the profile fit each other."""
        read_binaries(self.binary)
        if self.binary and self.runner is not PhoneRunner.SHELL:
            msg = f"binary {self.binary[0]!r} is for the shell runner: add --runner shell"
            raise UsageError(msg)
        if self.runner is not PhoneRunner.SHELL:
            return
        if not self.binary:
            msg = (
                "runner 'shell' runs a runtime's own benchmark program: name it, as --binary benchmark_model (tflite) "
                "or --binary executor_runner (pte)"
            )
            raise UsageError(msg)
        if self.profile not in _SHELL_PROFILES:
            allowed = " or ".join(profile.value for profile in _SHELL_PROFILES)
            msg = f"runner 'shell' has no profile {self.profile.value!r}, which needs single calls: use {allowed}"
            raise UsageError(msg)

    @property
    def settings(self) -> PhoneSettings:
        """How phones are set while they are measured."""
        return PhoneSettings(
            clocks=self.clocks, cores=self.cores, runner=self.runner, binaries=read_binaries(self.binary)
        )

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipe of each variant by its name."""
        return recipes_of(self.variant, self.recipe)


KEYS = tuple(f.name for f in fields(Spec))
_LIST_KEYS = ("model", "device", "format", "variant", "delegate", "threads", "input", "binary")
_NAMES: dict[str, type[StrEnum]] = {
    "format": Format,
    "delegate": Delegate,
    "profile": ProfileName,
    "clocks": Clocks,
    "cores": Cores,
    "runner": PhoneRunner,
}


def read_spec(path: Path) -> dict[str, Any]:
    """Return the values that the TOML file at ``path`` sets, keys checked. Raises `UsageError` naming the place."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"there is no spec file {str(path)!r}"
        raise UsageError(msg) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"cannot read the spec file {str(path)!r}: {error}"
        raise UsageError(msg) from error
    check_keys(values, KEYS, where=str(path))
    return values


def make_spec(values: dict[str, Any], *, where: str = "") -> Spec:
    """Build a spec from plain values; a single value stands for a list of one. Raises `UsageError`."""
    ready: dict[str, Any] = {}
    if "recipe" in values:
        values = values | {"recipe": _read_recipes(values["recipe"], where=where)}
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
                check_name(key, name, _NAMES[key], where=where)
        if key == "variant":
            for name in listed:
                if name not in own:
                    parse_recipe(str(name), where=where)
        # Repeated names mean one cell, not two with the same key.
        ready[key] = list(dict.fromkeys(listed)) if isinstance(listed, list | tuple) else listed
    return decode(ready, Spec, where=where or "the command line")


def _check_recipe_names(recipes: tuple[Recipe, ...]) -> None:
    names = [recipe.name for recipe in recipes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"two recipes are named {twice!r}: give each its own name"
        raise UsageError(msg)


def _read_recipes(tables: object, *, where: str) -> tuple[Recipe, ...]:
    """Turn the tables ``[[recipe]]`` into records, every key checked. Raises `UsageError`."""
    if isinstance(tables, tuple) and all(isinstance(table, Recipe) for table in tables):
        return tables
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        msg = f"recipe in {where} must be an array of tables: write [[recipe]], not [recipe]"
        raise UsageError(msg)
    return tuple(read_recipe(table, where=f"[[recipe]] number {n} of {where}") for n, table in enumerate(tables, 1))


def read_recipe(table: dict[str, Any], *, where: str) -> Recipe:
    """Return the recipe that plain values tell of. Raises `UsageError` naming the key, with the nearest match."""
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
    """Raise `UsageError` for a table, or a list within a list: no key takes one."""
    items = value if isinstance(value, list | tuple) else [value]
    nested = next((item for item in items if isinstance(item, list | tuple | dict)), None)
    if nested is not None:
        msg = f"{key} holds {nested!r} in {where or 'the command line'}: give a single value, or a list of them"
        raise UsageError(msg)


def check_name(kind: str, name: object, allowed: type[StrEnum], *, where: str = "") -> None:
    """Raise `UnknownNameError` unless ``name`` is a value of ``allowed``."""
    names = [member.value for member in allowed]
    if name not in names:
        raise UnknownNameError(str(name), kind=kind, allowed=names, where=where)


def check_keys(values: dict[str, Any], allowed: tuple[str, ...], *, where: str) -> None:
    """Raise `UsageError` for the first key outside ``allowed``, with the nearest match."""
    for key in values:
        if key not in allowed:
            msg = f"unknown key {key!r} in {where}; {suggestion(key, allowed)}"
            raise UsageError(msg)


_Record = TypeVar("_Record")


def decode(values: dict[str, Any], kind: type[_Record], *, where: str) -> _Record:
    """Turn decoded TOML or JSON into a record, every type checked. Raises `UsageError` with the field at fault."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        msg = f"{where}: {error}"
        raise UsageError(msg) from error
