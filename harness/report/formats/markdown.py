"""A run as Markdown, short enough for a comment on GitHub: what a terminal shows, with real tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Block, Grid, Line, Section, Tone, report_of
from harness.store.records import RunRecord

# GitHub refuses comments of more than 65,536 characters.
MOST_CHARACTERS = 65_000


def markdown_text(run: RunRecord, sections: tuple[Section, ...] = SECTIONS, *, most: int = MOST_CHARACTERS) -> str:
    """Return ``run`` as Markdown of at most ``most`` characters; rows of tables go first, and the text says so."""
    report = report_of(run)
    blocks = [block for section in sections for block in section.lines(report)]
    rows = max((len(block.dimmed) for block in blocks if isinstance(block, Grid)), default=0)
    text = _text(blocks, rows)
    while len(text) > most and rows > 0:
        # Each round keeps as many rows as would fit if all were alike, and at least one fewer.
        rows = min(rows - 1, int(rows * most / len(text)))
        text = _text(blocks, rows)
    if len(text) <= most:
        return text
    note = "\n\n*The end was cut; the whole is in report.html.*\n"
    return text[: most - len(note)].rpartition("\n")[0] + note


def _text(blocks: Sequence[Block], rows: int) -> str:
    return "\n".join(
        line for block in blocks for line in (_grid(block, rows) if isinstance(block, Grid) else _line(block))
    )


def _line(line: Line) -> Iterator[str]:
    text = _escaped(line.text.strip())
    indent = "> " if line.text.startswith(" ") else ""
    yield f"{indent}**{text}**" if line.tone in (Tone.STRONG, Tone.GOOD) and text else f"{indent}{text}"
    yield ""


def _grid(grid: Grid, most: int) -> Iterator[str]:
    """The table with at most ``most`` rows; a value that is the same in every row stands above it."""
    common = [c for c in grid.columns if c.common and len(set(c.values)) == 1]
    columns = [c for c in grid.columns if c not in common]
    same = ", ".join(f"{c.title} {c.values[0]}" for c in common if c.values[0])
    if same:
        yield from _line(Line(text=f"In every row: {same}."))
    yield _row([replace(c, values=()).title for c in columns])
    yield _row(["---" if c.text else "---:" for c in columns], escape=False)
    for row in list(zip(*(c.values for c in columns), strict=True))[:most]:
        yield _row(row)
    yield ""
    total = len(grid.dimmed)
    if total > most:
        yield f"*{total - most} of {total} rows were cut; table.csv has all.*"
        yield ""


def _row(texts: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_escaped(text) if escape else text for text in texts)} |"


def _escaped(text: str) -> str:
    """The text with what Markdown and HTML would read as markup taken literally, on one line."""
    text = " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
    return "".join(f"\\{c}" if c in "\\`*_[]|#" else c for c in text)
