"""The arguments A and B of ``phonebench ab``: ``digits:int8:tflite`` or a ready file, either with ``@threads=2``.

A side is a spec of one cell, so names, files and settings mean the same as everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError, suggestion
from harness.model.card import KINDS, SourceKind

SETTINGS = ("threads", "delegate")


@dataclass(frozen=True, slots=True, kw_only=True)
class ABReference:
    """One side. ``variant`` and ``format`` are None for a ready file; a setting is None if the common one applies."""

    text: str
    model: str
    variant: str | None = None
    format: str | None = None
    threads: int | None = None
    delegate: str | None = None


def parse_reference(text: str) -> ABReference:
    """Parse a side. Raises `UsageError`, which shows how to write one."""
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
        msg = (
            f"{text!r} is not a side of a comparison: write MODEL:VARIANT:FORMAT, such as digits:int8:tflite, or a file"
        )
        raise UsageError(msg)
    return ABReference(text=text, model=parts[0], variant=parts[1], format=parts[2], threads=threads, delegate=delegate)


def _settings(tail: str, text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for item in (part.strip() for part in tail.split(",") if part.strip()):
        key, equals, value = item.partition("=")
        if key not in SETTINGS:
            msg = f"unknown setting {key!r} in {text!r}; {suggestion(key, SETTINGS)}"
            raise UsageError(msg)
        if not equals or not value:
            msg = f"setting {item!r} in {text!r} has no value: write {key}=VALUE"
            raise UsageError(msg)
        settings[key] = value
    return settings


def _threads(value: str | None, text: str) -> int | None:
    if value is not None and not value.isdecimal():
        msg = f"threads is {value!r} in {text!r}: use an integer"
        raise UsageError(msg)
    return None if value is None else int(value)
