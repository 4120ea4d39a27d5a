"""What ``phonebench ab`` is given for A and for B: ``digits:int8:tflite``, a ready file, either with ``@threads=2``.

The one decision: a side is a spec of one cell, so that names, files and settings mean what they mean everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError, suggestion
from harness.model.card import KINDS, SourceKind

SETTINGS = ("threads", "delegate")


@dataclass(frozen=True, slots=True, kw_only=True)
class ABReference:
    """One side: ``variant`` and ``format`` are None for a ready file; settings are None where the common ones count."""

    text: str
    model: str
    variant: str | None = None
    format: str | None = None
    threads: int | None = None
    delegate: str | None = None


def parse_reference(text: str) -> ABReference:
    """Read a side. Raises `UsageError` that says how one is written."""
    body, at, tail = text.rpartition("@")
    if not at:
        body, tail = text, ""
    settings = _settings(tail, text)
    threads = _threads(settings.get("threads"), text)
    delegate = settings.get("delegate")
    if KINDS.get(Path(body).suffix.lower()) is SourceKind.READY and ":" not in Path(body).name:
        return ABReference(text=text, model=body, threads=threads, delegate=delegate)
    parts = body.rsplit(":", 2)
    if len(parts) != 3 or not all(parts):
        msg = f"{text!r} is no side of a comparison: write MODEL:VARIANT:FORMAT, such as digits:int8:tflite, or a file"
        raise UsageError(msg)
    return ABReference(text=text, model=parts[0], variant=parts[1], format=parts[2], threads=threads, delegate=delegate)


def _settings(tail: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in (part.strip() for part in tail.split(",") if part.strip()):
        key, equals, value = item.partition("=")
        if key not in SETTINGS:
            msg = f"unknown setting {key!r} in {text!r}; {suggestion(key, SETTINGS)}"
            raise UsageError(msg)
        if not equals or not value:
            msg = f"setting {item!r} in {text!r} has no value: write {key}=VALUE"
            raise UsageError(msg)
        found[key] = value
    return found


def _threads(value: str | None, text: str) -> int | None:
    if value is not None and not value.isdecimal():
        msg = f"threads is {value!r} in {text!r}: give a whole number"
        raise UsageError(msg)
    return None if value is None else int(value)
