"""The tables ``[[part]]`` of a model card: the networks of a composed model, and what each takes as input.

A part may only take what is above it in the file, so the parts can run in the order of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import UnknownNameError, UsageError
from harness.model.card import ModelCard, PartCard, SourceKind, Task, last_parts, part_name, takes
from harness.spec.decode import check_keys, decode

# Parts become attributes of one module, so their names must be Python identifiers.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartTable:
    """One table ``[[part]]`` of a card."""

    name: str
    source: str
    weights: str | None = None
    after: str | tuple[str, ...] = ()


def read_parts(tables: object, file: Path) -> tuple[PartCard, ...]:
    """Return the parts in ``tables``. Sources and links are not checked yet. Raises `UsageError`."""
    if not isinstance(tables, list) or not tables:
        msg = f"part in {file} must be an array of tables; write [[part]], not [part]"
        raise UsageError(msg)
    return tuple(_part(table, f"[[part]] number {n} of {file}") for n, table in enumerate(tables, 1))


def _part(value: object, where: str) -> PartCard:
    if not isinstance(value, dict):
        msg = f"{where} must be a table; got {value!r}"
        raise UsageError(msg)
    check_keys(value, ("name", "source", "weights", "after"), where=where)
    table = decode(value, _PartTable, where=where)
    if not _NAME.fullmatch(table.name):
        msg = f"name is {table.name!r} in {where}; use letters, digits and '_', a letter first"
        raise UsageError(msg)
    after = (table.after,) if isinstance(table.after, str) else table.after
    return PartCard(
        name=table.name, kind=SourceKind.PYTHON, source=table.source, weights=table.weights, after=tuple(after)
    )


def check_links(card: ModelCard, where: str) -> None:
    """Refuse parts that share a name or take what is not above them, and inputs that no part takes."""
    if not card.inputs:
        msg = f"{where} has parts but declares no inputs; add an [[input]] for each tensor that the first part takes"
        raise UsageError(msg)
    names_above = [spec.name for spec in card.inputs]
    for part in card.parts:
        if part.name in names_above:
            msg = f"two parts or inputs are named {part.name!r} in {where}; give each its own name"
            raise UsageError(msg)
        for name in part.after:
            if name not in names_above:
                place = f"after of [[part]] {part.name!r} of {where}"
                raise UnknownNameError(name, kind="part or input above it", allowed=names_above, where=place)
        names_above.append(part.name)
    taken = {name for part in card.parts for name in takes(card, part)}
    unused = next((spec.name for spec in card.inputs if spec.name not in taken), None)
    if unused is not None:
        msg = f"no part takes the input {unused!r} in {where}; name it in the 'after' of a part, or leave it out"
        raise UsageError(msg)


def part_of(card: ModelCard, name: str) -> ModelCard:
    """Return the card of the part ``name`` of ``card`` as a separate model; the whole provides its inputs and data.

    Raises `UsageError` when ``card`` has no parts, `UnknownNameError` when it has no part of that name.
    """
    if not card.parts:
        msg = f"model {card.name!r} has no parts; leave out '#{name}'"
        raise UsageError(msg)
    part = next((part for part in card.parts if part.name == name), None)
    if part is None:
        names = [part.name for part in card.parts]
        raise UnknownNameError(name, kind="part", allowed=names, where=f"model {card.name!r}")
    return replace(
        card,
        name=part_name(card, name),
        # Labels belong to the first output of the whole model.
        task=card.task if name == last_parts(card)[0] else Task.OTHER,
        metric=card.metric if name == last_parts(card)[0] else None,
        kind=part.kind,
        source=part.source,
        weights=part.weights,
        inputs=(),
        ranges=tuple(limits for limits in card.ranges if limits.name in takes(card, part)),
        parts=(),
        whole=card,
    )


def with_parts(card: ModelCard) -> tuple[ModelCard, ...]:
    """Return ``card`` followed by the cards of its parts, if it has any."""
    return card, *(part_of(card, part.name) for part in card.parts)
