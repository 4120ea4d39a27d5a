"""Names for models that have the same name in one run, such as ``net.tflite`` and ``net.onnx``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.model.card import ModelCard
from harness.model.user_code import is_reference, split_reference

# More folders than a path has are never needed; numbers are the last resort.
_MAX_DEPTH = 12


def plain_name(text: str) -> str:
    """Return the name of a file as a name of a model: letters lose their accents, and ``-`` replaces other signs."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", ascii_text).lstrip("_.-").rstrip("-") or "model"


def with_distinct_names(cards: Sequence[ModelCard], keep: Sequence[ModelCard] = ()) -> tuple[ModelCard, ...]:
    """Return ``cards`` with equal names made different: by format if that is enough, else by the folders above.

    Those in ``keep`` stay as they are.
    """
    names = [card.name for card in cards]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        same = [card for card in cards if card.name == name]
        taken = {other for other in names if other != name}
        names = _renamed(names, name, _labels(same, taken, keep))
    return tuple(replace(card, name=name) for card, name in zip(cards, names, strict=True))


def _renamed(names: list[str], name: str, labels: list[str]) -> list[str]:
    waiting = iter(labels)
    return [next(waiting) if own == name else own for own in names]


def refuse_copies(cards: Sequence[ModelCard]) -> None:
    """Raise `UsageError` if two of ``cards`` are the same model."""
    places = [_place(card) for card in cards]
    copy = next((card for card, place in zip(cards, places, strict=True) if places.count(place) > 1), None)
    if copy is not None:
        msg = f"model {copy.name!r} is given twice; leave one out"
        raise UsageError(msg)


def _place(card: ModelCard) -> str:
    home = str(card.folder) if card.folder is not None else ""
    return f"{home} {card.source if _is_code(card) else Path(card.source).resolve()} {card.whole is not None}"


def _labels(same: Sequence[ModelCard], taken: set[str], keep: Sequence[ModelCard]) -> list[str]:
    """The first scheme of names that tells ``same`` apart and takes no name of another model."""
    for depth in range(_MAX_DEPTH):
        for by_format in (False, True):
            labels = [card.name if card in keep else _label(card, depth, by_format=by_format) for card in same]
            if len(set(labels)) == len(labels) and taken.isdisjoint(labels):
                return labels
    return [card.name if card in keep else f"{card.name}-{number}" for number, card in enumerate(same, start=1)]


def _label(card: ModelCard, depth: int, *, by_format: bool) -> str:
    parts = _above(card)
    suffix = Path(card.source).suffix[1:].lower() if card.folder is None and not _is_code(card) else ""
    words = [*(parts[-depth:] if depth else []), card.name, *([suffix] if by_format and suffix else [])]
    return plain_name("-".join(words))


def _above(card: ModelCard) -> list[str]:
    """The names above a model: of its folders, or of the packages of its factory. The model's own is left out."""
    if card.folder is None and _is_code(card):
        return split_reference(card.source)[0].split(".")
    path = card.folder / "card" if card.folder is not None else Path(card.source)
    parts = [part for part in path.parent.parts if part != path.anchor]
    return parts[:-1] if parts and parts[-1] == card.name else parts


def _is_code(card: ModelCard) -> bool:
    return is_reference(card.source) and not Path(card.source).is_absolute()
