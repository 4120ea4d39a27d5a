"""A model's own metric from its folder to every place that shows accuracy, with the real command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import CommandLine
from tests.model.folders import make_folder

CARD = """\
[model]
name = "pixels"
source = "network:build"
metric = "mIoU"
ignore_index = 255

[[input]]
name = "image"
dtype = "float32"
shape = [1, 1, 8, 8]

[data]
source = "data.npz"
"""

# Each pixel's class is the brightness that is nearest: 0.2, 0.5 or 0.8.
NETWORK = """\
import torch
from torch import nn


def build():
    net = nn.Conv2d(1, 3, 1)
    levels = torch.tensor([0.2, 0.5, 0.8])
    net.weight.data, net.bias.data = 2 * levels[:, None, None, None], -levels * levels
    return net
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("calibration", 8), ("test", 40)):
        classes = rng.integers(0, 3, (count, 8, 8))
        inputs = np.array([0.2, 0.5, 0.8])[classes] + rng.normal(0, 0.08, classes.shape)
        classes[rng.random(classes.shape) < 0.1] = 255
        arrays |= {f"{split}_inputs": inputs[:, None, None].astype(np.float32), f"{split}_labels": classes}
        arrays |= {f"{split}_groups": np.array(["night", "day"])[np.arange(count) % 2]}
    made = make_folder(tmp_path_factory.mktemp("pixels"), card=CARD, network=NETWORK)
    np.savez(made / "data.npz", **arrays)
    return made


def test_a_models_own_metric_is_shown_wherever_accuracy_is(
    folder: Path, phonebench: CommandLine, tmp_path: Path
) -> None:
    results = tmp_path / "own results"
    done = phonebench("run", str(folder), "-f", "onnx", "-v", "fp32,int8", "--results", str(results))
    assert done.code == 0, done.err
    assert "mIoU" in done.out
    (run,) = (path for path in results.iterdir() if (path / "run.json").is_file())
    shown = json.loads(phonebench("show", run.name, "--json", "--results", str(results)).out)
    data = np.load(folder / "data.npz")
    labels, inputs = data["test_labels"].ravel(), data["test_inputs"].ravel()
    answers = np.abs(inputs[:, None] - np.array([0.2, 0.5, 0.8])).argmin(1)
    counted = labels != 255
    overlaps = [
        ((answers == c) & (labels == c) & counted).sum() / (((answers == c) | (labels == c)) & counted).sum()
        for c in range(3)
    ]
    scores = [cell["scores"] for cell in shown["cells"]]
    assert scores[0]["value"] == pytest.approx(np.mean(overlaps), abs=1e-3)
    assert scores[0]["low"] < scores[0]["value"] < scores[0]["high"]
    assert {group["name"] for group in shown["cells"][1]["groups"]["groups"]} == {"night", "day"}
    rows = list(csv.DictReader((run / "table.csv").read_text().splitlines()))
    assert [row["score_metric"] for row in rows] == ["mIoU", "mIoU"]
    assert float(rows[0]["score"]) == scores[0]["value"]
    page = (run / "report.html").read_text()
    assert "mIoU" in page
    assert "without labels" not in page


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros((40, 8, 7), dtype=int), r"[count, 8, 7], its first output has [count, 1, 3, 8, 8]"),
        (np.full((40, 8, 8), 3), "the label 3, but the classes of its first output are 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything_is_built(
    folder: Path,
    phonebench: CommandLine,
    tmp_path: Path,
    labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    says: str,
) -> None:
    arrays = dict(np.load(folder / "data.npz")) | {"test_labels": labels}
    wrong = make_folder(tmp_path / "wrong", card=CARD, network=NETWORK)
    np.savez(wrong / "data.npz", **arrays)
    done = phonebench("run", str(wrong), "-f", "onnx", "-v", "fp32", "--results", str(tmp_path / "own results"))
    assert done.code != 0
    assert says in " ".join(done.out.split())
