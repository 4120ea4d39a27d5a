"""What docs/security.md says about the commands that send a model to a phone only encrypted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import call_phonebench

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.mark.parametrize("command", ["run", "ab", "search"])
def test_the_page_names_the_commands_that_do_not_have_the_option(command: str, tmp_path: Path) -> None:
    """A command that is not named there sends a secret model in the clear, against what its reader expects."""
    said = re.search(r"((?:`\w+`(?:, | and )?)+) do not have it", " ".join(PAGE.read_text().split()))
    assert said is not None
    without = f"`{command}`" in said[1]
    shown = call_phonebench(command, "--help", cwd=tmp_path)
    assert ("--encrypt" in shown.out) is not without
