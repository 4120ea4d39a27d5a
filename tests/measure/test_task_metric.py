"""The metric of a model's own folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.sources.prepared_model import TRUTH_ARRAY_FILE, PreparedModel
from harness.errors import BuildError, UsageError
from harness.measure.accuracy import judge_answers
from harness.measure.task_metric import score, task_scores
from harness.model.card import MetricOptions, ModelCard, ModelOptions, Task
from harness.model.resolve import resolve
from harness.records.measurement import TaskScores
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


def scored(of: ModelCard, model: PreparedModel, outputs: tuple[Any, ...]) -> TaskScores | None:
    pair = score(of, model, outputs)
    return None if pair is None else task_scores(of, pair, len(outputs[0]))


def card(folder: Path, name: str) -> object:
    folder.joinpath("metric.py").write_text(METRIC)
    return replace(CARD, task=Task.REGRESSION, folder=folder, metric=f"metric:{name}")


def test_every_input_has_a_score_and_so_has_the_float_model(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", FLOAT)
    found = scored(card(tmp_path, "closeness"), model, (FLOAT + np.float32(0.5),))  # type: ignore[arg-type]
    assert found is not None
    assert (found.metric, found.value, found.scores) == ("closeness", -0.5, (-0.5,) * 4)
    assert found.float_scores == (0.0,) * 4
    assert (found.tolerance, found.share) == (None, False)


@pytest.mark.parametrize(("name", "words"), [("short", "one finite number per input"), ("fails", "truth")])
def test_a_metric_that_fails_is_the_folders_mistake(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        score(card(tmp_path, name), make_prepared(tmp_path / "model", FLOAT), (FLOAT,))  # type: ignore[arg-type]


def test_without_a_metric_there_are_no_scores(tmp_path: Path) -> None:
    assert score(CARD, make_prepared(tmp_path / "model", FLOAT), (FLOAT,)) is None


TOML = '[model]\nname = "m"\nsource = "network:build"\ntask = "regression"\n'


def card_with(folder: Path, line: str) -> ModelCard:
    """The card of a folder whose ``[model]`` has ``line``."""
    (folder / "network.py").write_text("def build(): ...\n")
    (folder / "text.py").write_text("def decode(outputs): ...\n")
    (folder / "model.toml").write_text(TOML + line + "\n")
    return resolve(str(folder), ModelOptions())


def classes(count: int, wrong: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Scores of two classes, right for the labels 0, 1, 0, 1 … but for the first ``wrong`` inputs."""
    scores = np.eye(2, dtype=np.float32)[np.arange(count) % 2]
    scores[:wrong] = scores[:wrong, ::-1]
    return scores


def ready(folder: Path, count: int, **options: Any) -> tuple[ModelCard, PreparedModel]:
    model = make_prepared(folder / "model", classes(count, 0))
    np.save(model.folder / TRUTH_ARRAY_FILE, np.arange(count) % 2)
    return replace(CARD, task=Task.OTHER, metric="mIoU", metric_options=MetricOptions(**options)), model


@pytest.mark.parametrize(("count", "drawn"), [(29, 0), (30, 400)])
def test_a_corpus_metric_is_drawn_again_only_from_enough_inputs(tmp_path: Path, count: int, drawn: int) -> None:
    model_card, model = ready(tmp_path, count)
    found = scored(model_card, model, (classes(count, 3),))
    assert found is not None
    assert (found.corpus, found.scores, found.float_value, found.share) == (True, (), 1.0, True)
    assert (len(found.replicates), len(found.float_replicates)) == (drawn, drawn)
    assert (found.low is None) is (drawn == 0)
    # By hand: each class has (n/2 - k) hits and 3 errors in all, half of them wrong answers of the class itself.
    hits = [len(range(3, count, 2)) if c else len(range(4, count, 2)) for c in (1, 0)]
    assert found.value == pytest.approx(np.mean([hits[0] / (hits[0] + 3), hits[1] / (hits[1] + 3)]))


def test_options_of_the_card_replace_those_of_the_metric(tmp_path: Path) -> None:
    model_card, model = ready(tmp_path, 12, higher_is_better=False, unit="x", tolerance=0.5)
    found = scored(model_card, model, (classes(12, 0),))
    assert found is not None
    assert (found.higher_is_better, found.unit, found.tolerance) == (False, "x", 0.5)


def test_a_metric_that_fails_on_a_device_leaves_the_other_figures(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", FLOAT)
    judged = judge_answers(card(tmp_path, "short"), model, (FLOAT,))  # type: ignore[arg-type]
    assert judged.scores is None
    assert [(c.id, "one finite number per input" in c.summary) for c in judged.conditions] == [("UNSCORED", True)]


@pytest.mark.parametrize(
    ("line", "metric"),
    [
        ('metric = "miou"', "mIoU"),
        ('metric = {name = "PSNR", data_range = 255}', "PSNR"),
        ('metric = {name = "WER", decode = "text:decode"}', "WER"),
        ('metric = {name = "text:decode", higher_is_better = false, unit = "mm"}', "text:decode"),
    ],
)
def test_a_card_names_a_metric_in_several_ways(tmp_path: Path, line: str, metric: str) -> None:
    assert card_with(tmp_path, line).metric == metric


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('target = "mlperf"', "target"),
        ('metric = "nothing"', "module:function"),
        ('metric = "no:f"', "no no.py"),
        ('metric = "mIuO"', "did you mean 'mIoU'"),
        ('metric = "WER"', "decode"),
        ('metric = {name = "mAP", decode = "nowhere:f"}', "no nowhere.py"),
        ('metric = {name = "PSNR", range = 1}', "range"),
        ('metric = {name = "PSNR", data_range = -1}', "more than 0"),
        ('metric = {decode = "text:decode"}', "name"),
        ("metric = 3", "write a name"),
    ],
)
def test_a_wrong_metric_or_target_is_refused_before_anything_loads(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        card_with(tmp_path, line)
