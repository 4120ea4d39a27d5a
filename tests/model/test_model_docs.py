"""The worked example of docs/models.md runs from its text, and the page explains every key and kind that exists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from harness.model.card import KINDS, DataCard, ModelOptions, Task
from harness.model.data import Split, load_split
from harness.model.resolve import resolve
from harness.wire import DType
from tests.conftest import call_phonebench, call_python

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## Your own model\n")[1].split("\n## ")[0]
FILES = ("network.py", "data.py", "train.py", "model.toml")
# The page promises more; other versions of torch may train to a slightly different network.
LEAST_ACCURACY = 0.9


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the example, written and trained as the page says."""
    folder = tmp_path_factory.mktemp("own") / "wine"
    folder.mkdir()
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", SECTION, flags=re.DOTALL)
    for name, text in zip(FILES, blocks, strict=True):
        assert SECTION.index(f"`{name}`") < SECTION.index(text)
        folder.joinpath(name).write_text(text, encoding="utf-8")
    trained = call_python("train.py", cwd=folder)
    assert trained.code == 0, trained.err
    assert re.fullmatch(r"\d+ of 60 test wines are right\n", trained.out)
    return folder


@pytest.mark.parametrize(("split", "count"), [(Split.TRAIN, 78), (Split.CALIBRATION, 40), (Split.TEST, 60)])
def test_the_splits_of_the_example_do_not_overlap(wine: Path, split: Split, count: int) -> None:
    dataset = load_split(resolve(str(wine), ModelOptions()), split)
    assert dataset is not None
    assert dataset.count == count


def test_int8_of_the_example_keeps_the_accuracy(wine: Path) -> None:
    command = re.search(r"`phonebench (run \./wine .*?)`", SECTION)
    assert command is not None
    home = wine.parent
    ran = call_phonebench(*command[1].split(), "--cache-dir", "cache", cwd=home)
    assert ran.code == 0, ran.err
    cells = call_phonebench("show", "--json", cwd=home).json()["cells"]
    assert [(cell["variant"], cell["status"]) for cell in cells] == [("fp32", "ok"), ("int8", "ok")]
    for cell in cells:
        assert cell["accuracy"]["value"] >= LEAST_ACCURACY


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
