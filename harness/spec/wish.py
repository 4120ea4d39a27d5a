"""A wish for a device: ``android[soc=Tensor G4, ram>=8]:any`` instead of the serial of one phone.

In brackets stand conditions, all of which the device meets; after the colon, how many devices: ``any`` one, ``all``, or
a number of units of one model, to see how much units differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UsageError

_WISH = re.compile(r"(?P<kind>[a-z]+)(?:\[(?P<conditions>[^\]]*)\])?(?::(?P<count>any|all|\d+))?$")
_CONDITION = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*(?P<sign>>=|<=|!=|=|>|<)\s*(?P<value>.*?)\s*$")


class Sign(StrEnum):
    """How a value is compared. Texts are equal if the wanted one occurs in the device's, in any case of letters."""

    EQUAL = "="
    UNEQUAL = "!="
    LEAST = ">="
    MOST = "<="
    MORE = ">"
    LESS = "<"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition. ``name`` is a fact of the device: ``soc``, ``ram`` in GiB, ``model``, ``os``, ``cores``."""

    name: str
    sign: Sign
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``count`` devices of ``kind`` that meet ``conditions``, all of one model if more than one; None for all."""

    text: str
    kind: str
    conditions: tuple[Condition, ...]
    count: int | None


def is_wish(key: str) -> bool:
    """Return whether a device key is a wish: it has brackets, or ends in ``:any``."""
    return "[" in key or key.endswith(":any")


def read_wish(text: str) -> Wish:
    """Return the wish that ``text`` writes. Raises `UsageError` with the form it should have."""
    match = _WISH.match(text)
    if match is None:
        msg = f"device {text!r} cannot be read: write KIND[NAME=VALUE, NAME>=NUMBER]:any, :all or a number"
        raise UsageError(msg)
    parts = [part for part in (match["conditions"] or "").split(",") if part.strip()]
    count = match["count"] or "any"
    if count == "0":
        msg = f"device {text!r} asks for no device: ask for at least one"
        raise UsageError(msg)
    return Wish(
        text=text,
        kind=match["kind"],
        conditions=tuple(_condition(part, text) for part in parts),
        count=None if count == "all" else 1 if count == "any" else int(count),
    )


def _condition(part: str, text: str) -> Condition:
    match = _CONDITION.match(part)
    if match is None or not match["value"]:
        msg = f"the condition {part.strip()!r} of device {text!r} cannot be read: write NAME=VALUE or NAME>=NUMBER"
        raise UsageError(msg)
    condition = Condition(name=match["name"].lower(), sign=Sign(match["sign"]), value=match["value"])
    if condition.sign not in (Sign.EQUAL, Sign.UNEQUAL) and number_of(condition.value) is None:
        msg = f"the condition {part.strip()!r} of device {text!r} compares by size: give a number"
        raise UsageError(msg)
    return condition


def number_of(text: str) -> float | None:
    """Return the first number in ``text``, None without one: 15 for ``Android 15``."""
    match = re.search(r"\d+(?:\.\d+)?", text)
    return float(match[0]) if match else None
