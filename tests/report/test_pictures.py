"""The charts of README.md are drawn from the committed run."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.pictures import HERE, SHOWN, draw
from harness.report.ranking import rankings
from harness.store.reader import read_folder

README = HERE.parent / "README.md"


def test_each_picture_is_drawn_and_shown(tmp_path: Path) -> None:
    written = draw(tmp_path)
    assert [path.stem for path in written] == list(SHOWN)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    assert all(f"docs/images/{path.name}" in README.read_text(encoding="utf-8") for path in written)
    assert all((HERE / "images" / path.name).is_file() for path in written)


def test_the_committed_run_is_whole() -> None:
    run = read_folder(HERE / "example")
    assert run.damaged_lines == 0
    (ranking,) = rankings(run)
    assert len(ranking.ok) == 16


@pytest.mark.parametrize("word", ["/root", "/home", "/tmp", "/work"])
def test_the_committed_run_names_no_place_of_a_computer(word: str) -> None:
    assert not any(word in path.read_text(encoding="utf-8") for path in (HERE / "example").iterdir())
