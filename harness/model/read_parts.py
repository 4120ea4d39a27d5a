"""The tables ``[[part]]`` of a model card: the networks that a model is put together from, and what each takes.

The one decision: a part takes what stands above it, so that the order of the file is an order in which they can run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import UnknownNameError, UsageError
from harness.model.card import ModelCard, PartCard, SourceKind, Task, last_parts, part_name, takes
from harness.spec.decode import check_keys, decode

# Names that can be those of a module's attributes.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartTable:
    """One table ``[[part]]``."""

    name: str
    source: str
    weights: str | None = None
    after: str | tuple[str, ...] = ()


def read_parts(tables: object, file: Path) -> tuple[PartCard, ...]:
    """Return the parts that ``tables`` tell of; sources and links are not checked yet. Raises `UsageError`."""
    if not isinstance(tables, list) or not tables:
        msg = f"part in {file} must be an array of tables: write [[part]], not [part]"
        raise UsageError(msg)
    return tuple(_part(table, f"[[part]] number {n} of {file}") for n, table in enumerate(tables, 1))


def _part(value: object, where: str) -> PartCard:
    if not isinstance(value, dict):
        msg = f"{where} must be a table, it is {value!r}"
        raise UsageError(msg)
    check_keys(value, ("name", "source", "weights", "after"), where=where)
    table = decode(value, _PartTable, where=where)
    if not _NAME.fullmatch(table.name):
        msg = f"name is {table.name!r} in {where}: use letters, digits and '_', a letter first"
        raise UsageError(msg)
    after = (table.after,) if isinstance(table.after, str) else table.after
    return PartCard(
        name=table.name, kind=SourceKind.PYTHON, source=table.source, weights=table.weights, after=tuple(after)
    )


def check_links(card: ModelCard, where: str) -> None:
    """Refuse parts that share a name, that come after what is not above them, and inputs that no part takes."""
    if not card.inputs:
        msg = f"{where} has parts and tells no inputs: add an [[input]] for each tensor that the first part takes"
        raise UsageError(msg)
    known = [spec.name for spec in card.inputs]
    for part in card.parts:
        if part.name in known:
            msg = f"two parts or inputs are named {part.name!r} in {where}: give each its own name"
            raise UsageError(msg)
        for name in part.after:
            if name not in known:
                place = f"after of [[part]] {part.name!r} of {where}"
                raise UnknownNameError(name, kind="part or input above it", allowed=known, where=place)
        known.append(part.name)
    taken = {name for part in card.parts for name in takes(card, part)}
    idle = next((spec.name for spec in card.inputs if spec.name not in taken), None)
    if idle is not None:
        msg = f"no part takes the input {idle!r} in {where}: name it in the 'after' of a part, or leave it out"
        raise UsageError(msg)


def part_of(card: ModelCard, name: str) -> ModelCard:
    """Return the card of the part ``name`` of ``card``, a model of its own whose inputs and data the whole gives.

    Raises `UsageError` when ``card`` has no parts, `UnknownNameError` when it has none of that name.
    """
    if not card.parts:
        msg = f"model {card.name!r} has no parts: leave out '#{name}'"
        raise UsageError(msg)
    part = next((part for part in card.parts if part.name == name), None)
    if part is None:
        names = [part.name for part in card.parts]
        raise UnknownNameError(name, kind="part", allowed=names, where=f"model {card.name!r}")
    return replace(
        card,
        name=part_name(card, name),
        # Labels are about the model's first output.
        task=card.task if name == last_parts(card)[0] else Task.OTHER,
        kind=part.kind,
        source=part.source,
        weights=part.weights,
        inputs=(),
        ranges=tuple(limits for limits in card.ranges if limits.name in takes(card, part)),
        parts=(),
        whole=card,
    )


def with_parts(card: ModelCard) -> tuple[ModelCard, ...]:
    """Return ``card`` and, where it has parts, the card of each."""
    return card, *(part_of(card, part.name) for part in card.parts)
