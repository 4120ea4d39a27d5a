"""How wide text is in a terminal, and how it wraps."""

from __future__ import annotations

import unicodedata


def cell_width(text: str) -> int:
    """Return how many character cells a terminal gives ``text``: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, width: int, *, indent: int = 0) -> list[str]:
    """Return ``text`` in lines of at most ``width`` cells, all but the first indented.

    It breaks at spaces alone, so that paths and commands can be copied: a longer word has a line that is too long.
    """
    # A space at the start belongs to the first word, which no line may lose.
    first = text.lstrip(" ")
    lead, *words = first.split(" ")
    lines = [text[: len(text) - len(first)] + lead]
    for word in words:
        joined = f"{lines[-1]} {word}"
        if cell_width(joined) <= width:
            lines[-1] = joined
        # Of several spaces, those at the break go.
        elif word:
            lines.append(" " * indent + word)
    return [line.rstrip(" ") for line in lines]
