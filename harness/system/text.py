"""How wide text is in a terminal, how it wraps, what of it XML can hold, and the numbers in what others print."""

from __future__ import annotations

import math
import re
import unicodedata

# Characters that XML 1.0 cannot contain, not even escaped.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# More do not fit into 64 bits, whatever they are.
_MOST_DIGITS = 18


def xml_text(text: str) -> str:
    """Return ``text`` with a replacement character for each that XML cannot contain."""
    return _NOT_IN_XML.sub("\ufffd", text)


def whole_number(text: str) -> int | None:
    """Return the number that ``text`` is in digits, with space around it; None for other text, or over 18 digits.

    For what others print. `int` also takes signs and underscores, and refuses thousands of digits with an error.
    """
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def finite_number(text: str | None) -> float | None:
    """Return the number in ``text``, None if it is not a finite one: some phones report NaN for a missing sensor."""
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


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
