"""The width of text in a terminal, and where it wraps."""

from __future__ import annotations

import pytest

from harness.system.text import cell_width, wrap


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("µs–", 3), ("模型", 4), ("e\u0301", 1), ("", 0)])
def test_a_wide_character_takes_two_cells(text: str, width: int) -> None:
    assert cell_width(text) == width


@pytest.mark.parametrize(
    ("text", "indent", "lines"),
    [
        ("one two three", 0, ["one two", "three"]),
        ("  a note that wraps", 2, ["  a note", "  that", "  wraps"]),
        ("key    value", 5, ["key", "     value"]),
        ("a  b", 0, ["a  b"]),
        ("one two    three", 1, ["one two", " three"]),
        ("see /a/long/path", 2, ["see", "  /a/long/path"]),
        ("模型 名称", 0, ["模型", "名称"]),
        ("", 0, [""]),
    ],
)
def test_text_wraps_between_words(text: str, indent: int, lines: list[str]) -> None:
    assert wrap(text, 8, indent=indent) == lines
