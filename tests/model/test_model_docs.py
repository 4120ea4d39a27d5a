"""The worked example of docs/models.md runs, and every key and kind that exists is explained there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from harness.model.card import KINDS, DataCard, ModelOptions, Task
from harness.model.data import Split, load_split
from harness.model.network import load_network
from harness.model.resolve import resolve
from harness.wire import DType

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def test_worked_example_loads(tmp_path: Path) -> None:
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, flags=re.DOTALL)
    for name, text in zip(("network.py", "data.py", "model.toml"), blocks, strict=True):
        tmp_path.joinpath(name).write_text(text, encoding="utf-8")
    card = resolve(str(tmp_path), ModelOptions())
    dataset = load_split(card, Split.TEST)
    assert (card.name, load_network(card).training, dataset and dataset.count) == ("flowers", False, 30)


@pytest.mark.parametrize(
    "word",
    [
        *("name", "task", "source", "weights", "license", "student", "dtype", "shape"),
        *(f.name for f in fields(DataCard)),
        *(member.value for kind in (Task, DType, Split) for member in kind),
        *sorted(KINDS.keys() - {".pth"}),
    ],
)
def test_every_key_and_value_is_explained(word: str) -> None:
    assert re.search(rf"`[^`]*{re.escape(word)}[^`]*`", PAGE)
