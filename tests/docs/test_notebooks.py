"""The notebooks of the documentation run, and show what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.notebooks import BRING, FOLDER, LOST, NIGHTS, READ, SLOWER, executed, write_nights


def texts(notebook: Any) -> list[str]:
    """The plain text of each output."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]


def test_every_notebook_is_stored_with_its_outputs() -> None:
    assert sorted(FOLDER.glob("*.ipynb")) == [BRING, READ]
    for path in (BRING, READ):
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), path
        assert not [output for cell in cells for output in cell.outputs if output.output_type in ("error", "stream")]


def test_a_night_is_read_as_the_stored_outputs_show(tmp_path: Path) -> None:
    write_nights(tmp_path / "history.sqlite")
    now = executed(READ, tmp_path)
    assert texts(now) == texts(nbformat.read(READ, as_version=4))
    # The truth that the made-up history was written with.
    counts, levels, changes = texts(now)[2:5]
    assert f"ok        {NIGHTS - 1}" in counts
    assert "failed     1" in counts
    assert len(levels.splitlines()) == 2 + 3
    assert f"{SLOWER:012x}" in changes
    assert LOST < SLOWER


@pytest.mark.slow
def test_a_torchvision_model_is_brought(tmp_path: Path, working_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PHONEBENCH_CACHE", str(working_cache))
    advice, table, quantiles = texts(executed(BRING, tmp_path))
    assert "onnx" in advice or "tflite" in advice
    assert [line.split()[1:3] for line in table.splitlines()[1:5]] == [
        ["fp32", "onnx"],
        ["int8", "onnx"],
        ["fp32", "tflite"],
        ["int8", "tflite"],
    ]
    assert "NaN" not in table
    assert "NaN" not in quantiles
