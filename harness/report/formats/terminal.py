"""A run as lines of text for a terminal of a given width.

Nothing is cut off. Sentences wrap between words; a table drops whole columns, the least needed first, and names them
below.

The lines carry SGR escape sequences, which `click.echo` strips where nobody would see the colours. Tables are laid out
here and not by rich, whose import takes longer than everything else that ``phonebench show`` does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from harness.report.sections.registry import ANSWER, SECTIONS
from harness.report.sections.section import Column, Grid, Line, Section, Tone, report_of
from harness.store.records import RunRecord
from harness.system.text import cell_width, wrap

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
    if width is None:
        return kept, dropped
    needed = sum(column_width(column) + len(_GAP) for column in kept) - len(_GAP)
    while len(kept) > 1 and needed > width:
        least = min(kept, key=lambda c: c.keep)
        kept.remove(least)
        dropped.append(least)
        needed -= column_width(least) + len(_GAP)
    return kept, dropped


def _line_lines(line: Line, width: int | None) -> Iterator[str]:
    """The lines of a sentence, all with its indent; a reason may itself have several lines."""
    for text in _printable(line.text).split("\n"):
        indent = len(text) - len(text.lstrip(" "))
        for part in [text] if width is None else wrap(text, width, indent=indent):
            yield _styled(part, line.tone)


def _grid_lines(grid: Grid, width: int | None) -> Iterator[str]:
    common = [c for c in grid.columns if c.common and len(set(c.values)) == 1]
    kept, dropped = fit([c for c in grid.columns if c not in common], width)
    words = ", ".join(f"{c.title} {c.values[0]}" for c in common if c.values[0])
    if words:
        yield from _line_lines(Line(text=f"In every row: {words}.", tone=Tone.QUIET), width)
    height = max(c.title.count("\n") + 1 for c in kept)
    padded = [_padded(c, height) for c in kept]
    tones = [Tone.STRONG] * height + [Tone.QUIET if dimmed else Tone.PLAIN for dimmed in grid.dimmed]
    for texts, tone in zip(zip(*padded, strict=True), tones, strict=True):
        yield _styled(_GAP.join(texts).rstrip(), tone)
    if dropped:
        names = ", ".join(c.title.replace("\n", " ") for c in dropped)
        yield from _line_lines(Line(text=f"Left out at this width: {names}.", tone=Tone.QUIET), width)


def _padded(column: Column, height: int) -> list[str]:
    """The title in ``height`` lines and the values, all of one width; a short title stands next to its figures."""
    titles = column.title.split("\n")
    texts = [*[""] * (height - len(titles)), *titles, *map(_entry, column.values)]
    size = max(map(cell_width, texts))
    spaces = (" " * (size - cell_width(text)) for text in texts)
    return [text + room if column.text else room + text for text, room in zip(texts, spaces, strict=True)]


def column_width(column: Column) -> int:
    """Return the character cells that ``column`` needs."""
    return max(cell_width(_entry(text)) for text in (*column.title.split("\n"), *column.values))


def _entry(text: str) -> str:
    return _printable(text).replace("\n", " ")


def _printable(text: str) -> str:
    """Replace control characters: a name or a reason must not move the cursor or change the colours."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _styled(text: str, tone: Tone) -> str:
    code = _SGR.get(tone)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text
