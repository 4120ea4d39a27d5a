"""Decodes TOML tables into records, and refuses unknown keys with the nearest match."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from harness.errors import UnknownNameError, UsageError, suggestion


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
