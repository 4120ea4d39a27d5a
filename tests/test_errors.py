"""The sentence that is made of an error of a library."""

from __future__ import annotations

import pytest

from harness.errors import first_line, typed_line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("bad shape", "bad shape"),
        ("\n  bad shape \nat line 3", "bad shape"),
        ("Validation error for field 'eos_token_id':\n    TypeError: Field expected int", None),
        ("one of:\n\n (1) a file", "one of: (1) a file"),
        ("one of:", "one of:"),
        ("", "ValueError"),
        ("  \n ", "ValueError"),
    ],
)
def test_a_line_that_announces_the_next_is_followed_by_it(message: str, line: str | None) -> None:
    expected = line or "Validation error for field 'eos_token_id': TypeError: Field expected int"
    assert first_line(ValueError(message)) == expected
    assert typed_line(ValueError(message)) == (expected if expected == "ValueError" else f"ValueError: {expected}")
