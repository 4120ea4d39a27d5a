"""Runs that a script starts, on the scripted phone; and what importing the package costs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.api.progress import Bars, progress_of
from harness.errors import UnknownNameError, UsageError
from harness.progress import Silent
from tests.conftest import call_python

GOLDEN = Path(__file__).parents[1] / "golden" / "results"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A ready-made file, which needs no building."""
    return str(shutil.copy(GOLDEN / "tiny.onnx", tmp_path))


def test_a_script_runs_a_model_and_reads_its_figures(tiny: str, tmp_path: Path) -> None:
    results, cache = tmp_path / "results", tmp_path / "cache"
    run = harness.run(tiny, devices="fake", threads=(1, 2), progress=False, results=results, cache=cache)
    assert run.finished
    assert list(run.cells["threads"]) == [1, 2]
    assert set(run.cells["status"]) == {"ok"}
    assert harness.load(results=results).id == run.id
    assert run.advice
    # Nothing is left to do, so nothing is measured again.
    again = harness.resume(run.id, progress=False, results=results, cache=cache)
    assert list(again.launches["reply_sha256"]) == list(run.launches["reply_sha256"])


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"variant": "fp32"}, UnknownNameError, "unknown setting 'variant' .*did you mean 'variants'"),
        ({"device": "host"}, UnknownNameError, "did you mean 'devices'"),
        ({"variants": ["fp33"]}, UnknownNameError, "did you mean 'fp32'"),
        ({"profile": "slow"}, UnknownNameError, "unknown profile 'slow' in the settings of harness.run"),
        ({"threads": 0}, UsageError, "from 1 to 256"),
        ({"devices": "phone"}, UsageError, "phone"),
        ({"speed": 3}, UnknownNameError, "unknown setting 'speed'"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_runs(
    tiny: str, tmp_path: Path, settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        harness.run(tiny, results=tmp_path / "results", cache=tmp_path / "cache", progress=False, **settings)
    assert not (tmp_path / "results").exists()


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    for use, heavy in (("dir(harness)", ("numpy", "pandas", "torch", "click")), ("harness.run", ("pandas", "torch"))):
        code = f"import sys, harness; {use}; print([m for m in {heavy!r} if m in sys.modules])"
        assert call_python("-c", code, cwd=tmp_path).out.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = harness.nothing


class Bar:
    """A bar that remembers what it showed."""

    def __init__(self, shown: list[Any], total: int, desc: str) -> None:
        self.shown = shown
        shown.append((desc, total))

    def update(self, units: int) -> None:
        """Move on."""
        self.shown.append(units)

    def set_postfix_str(self, text: str) -> None:
        """Show what is being worked on."""
        self.shown.append(text)

    def close(self) -> None:
        """End."""
        self.shown.append("closed")


def test_a_bar_shows_what_is_done_and_being_done() -> None:
    shown: list[Any] = []
    bars = Bars(lambda total, desc, leave: Bar(shown, total, desc))  # noqa: ARG005
    bars.start("build", 2)
    for unit in ("a", "b", "c"):
        bars.begin(unit)
    bars.end("c")
    bars.step("a", "ok")
    bars.step("b", "ok")
    bars.finish()
    bars.finish()
    expected: Sequence[Any] = [
        ("build", 2), "a", "a, b", "a, b and 1 more", "a, b", "b", 1, "", 1, "closed",
    ]  # fmt: skip
    assert shown == expected


def test_progress_is_a_choice() -> None:
    own = Silent()
    assert progress_of(own) is own
    assert isinstance(progress_of(False), Silent)
    assert isinstance(progress_of(True), Bars)
