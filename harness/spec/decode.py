"""Reads TOML files and decodes their tables into records; a mistake names its place and the nearest right word."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from harness.errors import UnknownNameError, UsageError, suggestion
from harness.system.small_files import read_small

# Where tomllib's messages say the error is; its exceptions carry the place as attributes only from Python 3.14 on.
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# Far more than a recipe for each layer of a large model.
MOST_BYTES = 1 << 20
# A key of thousands of parts takes tomllib minutes.
_DEEP_KEY = re.compile(rb"(?:[\w-]+[ \t]*\.[ \t]*){64}")
# How msgspec words its errors, which carry the field and the value in no other way.
_FIELD = re.compile(r"(?P<problem>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
_BAD_NAME = re.compile(r"Invalid enum value '(.*)'", re.DOTALL)
_BAD_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """Return the values of the TOML file at ``path``; ``what`` names the file in errors, such as ``the spec file``.

    Raises `FileNotFoundError` when there is no such file, and `UsageError` when it cannot be read or is not TOML, with
    the line, the column and the text of the line.
    """
    try:
        content = read_small(path, MOST_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        msg = f"cannot read {what} {str(path)!r}: {error.strerror or error}"
        raise UsageError(msg) from error
    if _DEEP_KEY.search(content):
        msg = f"cannot read {what} {str(path)!r}: its keys are nested too deeply; is it the file that you meant?"
        raise UsageError(msg)
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        msg = f"cannot read {what} {str(path)!r}: its values are nested too deeply"
        raise UsageError(msg) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"cannot read {what} {str(path)!r}: line {line} is not UTF-8; save the file as UTF-8"
        raise UsageError(msg) from error
    except tomllib.TOMLDecodeError as error:
        msg = f"cannot read {what} {str(path)!r}: {_toml_problem(str(error), content.decode('utf-8-sig'))}"
        raise UsageError(msg) from error


def _toml_problem(message: str, text: str) -> str:
    """The message of tomllib with the line it is about, and what to do about the most common mistake."""
    lines = text.splitlines() or [""]
    place = _PLACE.search(message)
    if place is None:
        return f"{message}; correct the TOML"
    number, column = (int(place[1]), int(place[2])) if place[1] else (len(lines), len(lines[-1]) + 1)
    line = lines[min(number, len(lines)) - 1].strip()
    problem = message[: place.start()]
    # Text without quotes is what people forget most; tomllib can only say that it is no value.
    hint = "; put text in quotes" if problem == "Invalid value" else ""
    # A quote that is not closed is noticed only where the line ends.
    if problem == "Illegal character '\\n'" or problem.startswith("Unterminated string"):
        problem, hint = "a text has no closing quote", "; add it"
    return f"line {number}, column {column}: {problem}: {line!r}{hint}"


def check_name(kind: str, name: object, allowed: Iterable[StrEnum], *, where: str = "") -> None:
    """Raise `UnknownNameError` unless ``name`` is a value of ``allowed``."""
    names = [member.value for member in allowed]
    if name not in names:
        raise UnknownNameError(str(name), kind=kind, allowed=names, where=where)


def check_keys(values: dict[str, Any], allowed: tuple[str, ...], *, where: str) -> None:
    """Raise `UsageError` for the first key outside ``allowed``, with the nearest match."""
    for key in values:
        if key not in allowed:
            raise _unknown_key(key, allowed, where)


_Record = TypeVar("_Record")


def decode(values: dict[str, Any], kind: type[_Record], *, where: str) -> _Record:
    """Turn decoded TOML or JSON into a record and check every type.

    Raises `UsageError` with the field at fault, `UnknownNameError` for a name outside a closed set.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise _decode_error(str(error), kind, where) from error


def _decode_error(message: str, kind: type, where: str) -> UsageError:
    """Return the error for what msgspec reports, with the nearest match of a wrong name or key."""
    match = _FIELD.fullmatch(message)
    problem, path = (match["problem"], match["path"] or "$") if match else (message, "$")
    # ``$.steps[0].ratio`` leads to ``steps``, None for an element of a list, and ``ratio``.
    steps = [key or None for key in re.findall(r"\.(\w+)|\[[^\]]*\]", path)]
    reached = list(_types_at(kind, steps))
    if bad_name := _BAD_NAME.fullmatch(problem):
        names = [member.value for enum in reached if _is_enum(enum) for member in enum]
        what = next((key for key in reversed(steps) if key), "name")
        return UnknownNameError(bad_name[1], kind=what, allowed=names, where=where)
    if bad_key := _BAD_KEY.fullmatch(problem):
        keys = [key for record in reached if hasattr(record, "__annotations__") for key in get_type_hints(record)]
        return _unknown_key(bad_key[1], tuple(dict.fromkeys(keys)), f"{path[2:]} of {where}" if steps else where)
    place = f" at {path[2:]}" if steps else ""
    return UsageError(f"{where}{place}: {problem}")


def _unknown_key(key: str, allowed: tuple[str, ...], where: str) -> UsageError:
    return UsageError(f"unknown key {key!r} in {where}; {suggestion(key, allowed)}")


def _types_at(kind: Any, steps: list[str | None]) -> Iterator[Any]:
    """The types that a value may have where ``steps`` lead to; several where a field takes several."""
    if get_origin(kind) in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _types_at(member, steps)
    elif not steps:
        yield kind
    elif steps[0] is None:
        yield from _types_at(get_args(kind)[0], steps[1:]) if get_args(kind) else ()
    elif isinstance(kind, type) and steps[0] in (hints := get_type_hints(kind)):
        yield from _types_at(hints[steps[0]], steps[1:])


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)
