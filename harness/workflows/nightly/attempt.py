"""Statistics that may fail: their fault costs a verdict, never the night."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

# What the arithmetic of a broken series raises. Anything else is a bug of another kind, and ends the night.
_ERRORS = (ValueError, ArithmeticError, LookupError)

_Value = TypeVar("_Value")


def attempt(work: Callable[[], _Value]) -> tuple[_Value | None, str]:
    """Return the result of ``work`` and an empty text, or None and why its statistics failed."""
    try:
        return work(), ""
    except _ERRORS as error:
        return None, f"{type(error).__name__}: {error}"
