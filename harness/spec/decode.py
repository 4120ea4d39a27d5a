"""Reads TOML files, decodes their tables into records, and refuses unknown keys with the nearest match."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UnknownNameError, UsageError, suggestion

# Where tomllib's messages say the error is; its exceptions carry the place as attributes only from Python 3.14 on.
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """Return the values of the TOML file at ``path``; ``what`` names the file in errors, such as ``the spec file``.

    Raises `FileNotFoundError` when there is no such file, and `UsageError` when it cannot be read or is not TOML, with
    the line, the column and the text of the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        msg = f"cannot read {what} {str(path)!r}: {error.strerror or error}"
        raise UsageError(msg) from error
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
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
    return f"line {number}, column {column}: {problem}: {line!r}{hint}"


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
