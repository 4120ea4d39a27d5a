"""What is in the files that users get, and what must not be: paths of the machine that made them."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from harness.artifacts.manifest import Manifest
from harness.spec.formats import default_formats
from harness.wire import Format

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("format_", default_formats())
def test_an_artifact_does_not_reveal_the_machine(digits_files: dict[tuple[str, str], Path], format_: Format) -> None:
    files = [path for (kind, _), path in digits_files.items() if kind == format_.value]
    assert len(files) == 4
    for file in files:
        data = file.read_bytes()
        for trace in (str(ROOT), sys.prefix, "site-packages", str(Path.home()) + "/"):
            assert trace.encode() not in data, (file, trace)


@pytest.mark.parametrize("format_", default_formats())
def test_static_int8_does_not_clip_the_scores(digits_files: dict[tuple[str, str], Path], format_: Format) -> None:
    file = digits_files[format_.value, "int8"].with_name("manifest.json")
    int8 = msgspec.json.decode(file.read_bytes(), type=Manifest)
    # With outputs clipped to an averaged range these files stay below 25 dB.
    assert (int8.sqnr_db or 0) > 27
    assert int8.agreement == 1.0
