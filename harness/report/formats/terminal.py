"""A run as lines of text for a terminal of a given width.

Nothing is cut off. Sentences wrap; a table drops whole columns, the least needed first, and names them below.

The lines carry SGR escape sequences, which `click.echo` strips where nobody would see the colours. Tables are laid out
here and not by rich, whose import takes longer than everything else that ``phonebench show`` does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from harness.report.sections.registry import ANSWER, SECTIONS
from harness.report.sections.section import Column, Grid, Line, Section, Tone, report_of
from harness.store.records import RunRecord

# Select Graphic Rendition parameters (ECMA-48): bold, faint and the eight basic colours, which every theme defines.
_SGR = {
    Tone.STRONG: "1",
    Tone.GOOD: "1;32",
    Tone.BAD: "31",
    Tone.WARNING: "33",
    Tone.ASIDE: "36",
    Tone.QUIET: "2",
}
_GAP = " "


def run_lines(run: RunRecord, width: int | None, sections: tuple[Section, ...] = SECTIONS) -> Iterator[str]:
    """Yield what ``phonebench show`` prints; ``width`` is in character cells, None for as wide as it gets."""
    report = report_of(run)
    # Stable: the answer moves to the end, everything else keeps the order of the page.
    for section in sorted(sections, key=lambda s: s in ANSWER):
        for block in section.lines(report):
            if isinstance(block, Grid):
                yield from _grid_lines(block, width)
            else:
                yield from _line_lines(block, width)


def fit(columns: Sequence[Column], width: int | None) -> tuple[list[Column], list[Column]]:
    """Return the columns that fit ``width`` character cells, in order, and those left out, the least needed first."""
    kept, dropped = list(columns), list[Column]()
    while width is not None and len(kept) > 1 and sum(map(_column_width, kept)) + len(kept) - 1 > width:
        least = min(kept, key=lambda c: c.keep)
        kept.remove(least)
        dropped.append(least)
    return kept, dropped


def cell_width(text: str) -> int:
    """Return how many character cells a terminal gives ``text``: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, width: int | None) -> Iterator[str]:
    """Yield ``text`` in lines of at most ``width`` cells, each with its indent; a word that is too long is broken."""
    for paragraph in text.split("\n"):
        if width is None:
            yield paragraph
            continue
        words = paragraph.lstrip(" ")
        indent = paragraph[: len(paragraph) - len(words)]
        yield from (indent + line for line in _filled(words, max(1, width - len(indent))))


def _filled(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_width(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        *full, line = _broken(word, width)
        yield from full
    yield line


def _broken(word: str, width: int) -> list[str]:
    """Cut a word into pieces of at most ``width`` cells; one piece for all but paths and keys."""
    pieces = [""]
    for character in word:
        if pieces[-1] and cell_width(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _line_lines(line: Line, width: int | None) -> Iterator[str]:
    return (_styled(text, line.tone) for text in wrap(_printable(line.text), width))


def _grid_lines(grid: Grid, width: int | None) -> Iterator[str]:
    common = [c for c in grid.columns if c.common and len(set(c.values)) == 1]
    kept, dropped = fit([c for c in grid.columns if c not in common], width)
    words = ", ".join(f"{c.title} {c.values[0]}" for c in common if c.values[0])
    if words:
        yield from _line_lines(Line(text=f"In every row: {words}.", tone=Tone.QUIET), width)
    height = max(c.title.count("\n") + 1 for c in kept)
    titles = [_title_lines(c, height) for c in kept]
    for row in range(height):
        yield _styled(_row(kept, [lines[row] for lines in titles]), Tone.STRONG)
    for row, dimmed in enumerate(grid.dimmed):
        yield _styled(_row(kept, [c.values[row] for c in kept]), Tone.QUIET if dimmed else Tone.PLAIN)
    if dropped:
        names = ", ".join(c.title.replace("\n", " ") for c in dropped)
        yield from _line_lines(Line(text=f"Left out at this width: {names}.", tone=Tone.QUIET), width)


def _title_lines(column: Column, height: int) -> list[str]:
    """The lines of a title; a short one stands at the bottom, next to its figures."""
    lines = column.title.split("\n")
    return [""] * (height - len(lines)) + lines


def _row(columns: Sequence[Column], texts: Iterable[str]) -> str:
    padded = []
    for column, text in zip(columns, map(_entry, texts), strict=True):
        room = " " * (_column_width(column) - cell_width(text))
        padded.append(text + room if column.text else room + text)
    return _GAP.join(padded).rstrip()


def _column_width(column: Column) -> int:
    return max(cell_width(_entry(text)) for text in (*column.title.split("\n"), *column.values))


def _entry(text: str) -> str:
    return _printable(text).replace("\n", " ")


def _printable(text: str) -> str:
    """Replace control characters: a name or a reason must not move the cursor or change the colours."""
    return "".join(c if c == "\n" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _styled(text: str, tone: Tone) -> str:
    code = _SGR.get(tone)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text
