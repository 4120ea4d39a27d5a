"""The metric of a model's own folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BuildError, UsageError
from harness.measure.task_metric import score
from harness.model.card import ModelOptions, Task
from harness.model.resolve import resolve
from tests.artifacts.builders import CARD, make_prepared

FLOAT = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], dtype=np.float32)
METRIC = """
import numpy as np

def closeness(outputs, split):
    assert split == "test"
    truth = np.array([1.0, 3.0, 5.0, 7.0])
    return -np.abs(outputs[0].reshape(4, -1)[:, 0] - truth)

def short(outputs, split):
    return [1.0]

def fails(outputs, split):
    raise KeyError("truth")
"""


def card(folder: Path, name: str) -> object:
    folder.joinpath("metric.py").write_text(METRIC)
    return replace(CARD, task=Task.REGRESSION, folder=folder, metric=f"metric:{name}")


def test_every_input_has_a_score_and_so_has_the_float_model(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", FLOAT)
    found = score(card(tmp_path, "closeness"), model, (FLOAT + np.float32(0.5),))  # type: ignore[arg-type]
    assert found is not None
    assert (found.metric, found.value, found.scores) == ("closeness", -0.5, (-0.5,) * 4)
    assert found.float_scores == (0.0,) * 4


@pytest.mark.parametrize(("name", "words"), [("short", "one finite number per input"), ("fails", "truth")])
def test_a_metric_that_fails_is_the_folders_mistake(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        score(card(tmp_path, name), make_prepared(tmp_path / "model", FLOAT), (FLOAT,))  # type: ignore[arg-type]


def test_without_a_metric_there_are_no_scores(tmp_path: Path) -> None:
    assert score(CARD, make_prepared(tmp_path / "model", FLOAT), (FLOAT,)) is None


TOML = '[model]\nname = "m"\nsource = "network:build"\ntask = "regression"\n'


@pytest.mark.parametrize(
    ("line", "words"),
    [('metric = "nothing"', "module:function"), ('metric = "no:f"', "no no.py"), ('target = "mlperf"', "target")],
)
def test_a_wrong_metric_or_target_is_refused_before_anything_loads(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "network.py").write_text("def build(): ...\n")
    (tmp_path / "model.toml").write_text(TOML + line + "\n")
    with pytest.raises(UsageError, match=words):
        resolve(str(tmp_path), ModelOptions())
