"""What must not be in a file that is shipped: paths of the machine that made it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.wire import Format

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("format_", list(Format))
def test_an_artifact_tells_nothing_of_the_machine(built_cache: Path, format_: Format) -> None:
    files = list(built_cache.glob(f"artifacts/*/*/model.{format_.value}"))
    assert len(files) == 4
    for file in files:
        data = file.read_bytes()
        for trace in (str(ROOT), sys.prefix, "site-packages", str(Path.home()) + "/"):
            assert trace.encode() not in data, (file, trace)
