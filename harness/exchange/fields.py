"""Reads single values of files that nobody has checked: a value of the wrong type is None, and never an error."""

from __future__ import annotations

import math
import re
from typing import Any

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000
KIB = 1 << 10
MIB = 1 << 20
MB = 1_000_000
# A femtosecond to four months, or ten petabytes: beyond that a file is damaged, and ratios leave the range of numbers.
_LEAST, _MOST = 1e-6, 1e16
# By how much of itself a time may change where it becomes a whole number of ns.
_ROUNDED = 0.005

# Names go into tables, keys and terminals. Longer ones are cut.
MOST_CHARACTERS = 200
# Control characters move a terminal's cursor; the others change the direction of all text that follows.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def clean(text: str) -> str:
    """Return ``text`` in one line, without control characters, of at most 200 characters."""
    line = " ".join(_UNSAFE.sub(" ", text).split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return ``value`` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in the list ``value``; nothing if it is no list."""
    return [item for item in items(value) if isinstance(item, dict)]


def word(value: object) -> str:
    """Return a text, number or truth value as clean text, with all digits of a number; empty for anything else."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else clean(str(value))
    return clean(value) if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """Return a finite number, or None. Text that is a number counts, as in CSV."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def above_zero(value: object) -> float | None:
    """Return a number above 0, or None. Programs write 0 or -1 for what they did not measure."""
    result = number(value)
    return result if result is not None and result > 0 else None


def count(value: object) -> int | None:
    """Return a whole number of at least 1, or None."""
    result = above_zero(value)
    return int(result) if result is not None and result == int(result) and result < 1 << 53 else None


def scaled(value: object, unit: int) -> float | None:
    """Return a time or size above 0 in base units (ns, bytes), given in ``unit``; None if it is not one."""
    result = above_zero(value)
    return result * unit if result is not None and _LEAST < result * unit < _MOST else None


def at_least_zero(value: object, unit: int) -> float | None:
    """Return a spread of at least 0 in base units, given in ``unit``; None if it is not one. Equal calls have none."""
    return 0.0 if number(value) == 0 else scaled(value, unit)


def whole(value: object, unit: int) -> int | None:
    """Return `scaled`, rounded."""
    result = scaled(value, unit)
    return None if result is None else round(result)


def times_ns(value: object, unit: int) -> tuple[int, ...]:
    """Return the times in the list ``value``, given in ``unit``, in ns.

    Empty if one of them is not a time, or is too short to be stated in whole nanoseconds.
    """
    times = []
    for item in items(value):
        exact = scaled(item, unit)
        if exact is None or abs(round(exact) - exact) > exact * _ROUNDED:
            return ()
        times.append(round(exact))
    return tuple(times)


def settings(values: dict[str, object]) -> dict[str, str]:
    """Return the values that are said at all, as text."""
    return {key: text for key, value in values.items() if (text := word(value))}
