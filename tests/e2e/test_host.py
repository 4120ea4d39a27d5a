"""The real command line on this computer: real models, real runtimes, accuracy from the runner's own outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.artifacts.tiny import image_card
from tests.conftest import CommandLine

NETWORK = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

class NotFinite(nn.Module):
    def forward(self, x):
        return torch.log(-x.abs() - 1).reshape(1, -1)[:, :3]

def not_finite():
    return NotFinite()
"""

CARD = """
[model]
name = "mine"
task = "classification"
source = "network:{factory}"
license = "MIT"

[[input]]
name = "x"
dtype = "float32"
shape = [1, 2, 4]
"""


def own_model(folder: Path, factory: str = "build") -> str:
    """Write the folder of a user's model, without data."""
    folder.mkdir()
    (folder / "network.py").write_text(NETWORK)
    (folder / "model.toml").write_text(CARD.format(factory=factory))
    return str(folder)


def test_every_format_has_the_float_models_accuracy(phonebench: CommandLine) -> None:
    done = phonebench("run", "digits", "--variant", "fp32", "--json")
    assert done.code == 0, done.err
    cells = done.json()["cells"]
    assert [c["format"] for c in cells] == ["pte", "tflite", "onnx", "ptl"]
    for cell in cells:
        assert (cell["accuracy"]["correct"], cell["accuracy"]["count"]) == (357, 360)
        assert cell["accuracy"]["low"] < cell["accuracy"]["value"] < cell["accuracy"]["high"]
        assert cell["artifact"]["sqnr_db"] > 100
        assert cell["runtime"]["delegate_used"] == cell["delegate"]
        assert cell["memory"]["peak_bytes"] >= cell["memory"]["loaded_bytes"]
        assert cell["memory"]["definition"]
        assert cell["latency"]["calls"] >= 50
        assert cell["latency"]["low_ns"] is None, "one launch has no interval"


def test_a_model_of_ones_own_without_data(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench("run", own_model(tmp_path / "mine"), "--format", "onnx", "--variant", "int8", "--json")
    assert done.code == 0, done.err
    cell = done.json()["cells"][0]
    assert cell["accuracy"] is None
    assert {"RANDOM-INPUTS", "RANDOM-CALIBRATION"} <= {c["id"] for c in cell["conditions"]}


def test_a_network_whose_outputs_are_not_finite_is_named_as_the_source(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench("run", own_model(tmp_path / "mine", "not_finite"), "--format", "onnx", "--variant", "fp32")
    assert done.code == 4
    cell = phonebench("show", "--json").json()["cells"][0]
    assert cell["status"] == "failed"
    assert "the float model 'mine' itself gives nothing but NaN or infinite values" in cell["reason"]


def test_a_run_resumes_after_its_model_was_repaired(phonebench: CommandLine, tmp_path: Path) -> None:
    folder = own_model(tmp_path / "mine")
    network = tmp_path / "mine" / "network.py"
    whole = network.read_text()
    network.write_text(whole.replace("nn.Flatten()", "nn.Flaten()"))
    done = phonebench("run", folder, "--device", "fake", "--format", "onnx", "--variant", "fp32")
    assert done.code == 4
    assert "Flaten" in phonebench("show", "--json").json()["cells"][0]["reason"]
    network.write_text(whole)
    assert phonebench("run", "--resume").code == 0
    assert phonebench("show", "--json").json()["cells"][0]["status"] == "ok"


def test_a_ready_file_skips_straight_to_the_run(
    phonebench: CommandLine, digits_files: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "theirs.tflite").write_bytes(digits_files["tflite", "fp32"].read_bytes())
    done = phonebench("run", "theirs.tflite", "--delegate", "cpu", "--json")
    assert done.code == 0, done.err
    cell = done.json()["cells"][0]
    assert (cell["variant"], cell["delegate"]) == ("as-is", "cpu")
    assert cell["accuracy"] is None
    assert cell["latency"]["median_ns"] > 0


@pytest.mark.parametrize("keep", [0, 100])
def test_a_truncated_ready_file(
    phonebench: CommandLine, digits_files: dict[tuple[str, str], Path], tmp_path: Path, keep: int
) -> None:
    (tmp_path / "half.onnx").write_bytes(digits_files["onnx", "fp32"].read_bytes()[:keep])
    done = phonebench("run", "half.onnx")
    assert done.code == 4
    assert "Traceback" not in done.err
    cell = phonebench("show", "--json").json()["cells"][0]
    assert cell["status"] in ("failed", "broken")
    assert "half.onnx" in cell["reason"]


def test_a_delegate_that_this_build_lacks_is_a_hole(phonebench: CommandLine) -> None:
    done = phonebench("run", "--format", "onnx,tflite", "--variant", "fp32", "--delegate", "xnnpack", "--json")
    assert done.code == 0, done.err
    cells = {c["format"]: c for c in done.json()["cells"]}
    assert cells["tflite"]["status"] == "ok"
    assert cells["onnx"]["status"] == "unsupported"
    assert "xnnpack" in cells["onnx"]["reason"]


def test_channels_last_cost_no_accuracy(phonebench: CommandLine, tmp_path: Path) -> None:
    images = image_card(tmp_path).folder
    variants = ("--format", "tflite", "--variant", "nhwc,int8+nhwc")
    done = phonebench("run", "digits", str(images), *variants, "--json", timeout_s=600)
    assert done.code == 0, done.err
    cells = {(c["model"], c["variant"]): c for c in done.json()["cells"]}
    assert cells["digits", "nhwc"]["accuracy"]["correct"] == 357
    assert cells["digits", "int8+nhwc"]["accuracy"]["correct"] >= 356
    # Digits have one channel, which is in the right place by chance; these images have three.
    (stored,) = (tmp_path / "results").glob("*/measurements.jsonl")
    measured = [json.loads(line) for line in stored.read_text().splitlines()]
    images_db = {m["cell"]: m["fidelity"]["sqnr_db"] for m in measured if m["cell"].startswith("image-")}
    assert len(images_db) == 2
    assert all(db > (20 if "int8" in cell else 90) for cell, db in images_db.items())


def test_real_imagenet_weights_are_right_on_eighteen_of_twenty_photos(phonebench: CommandLine) -> None:
    done = phonebench("run", "efficientnet_lite0", "--format", "tflite", "--variant", "fp32", "--json", timeout_s=600)
    assert done.code == 0, done.err
    cell = done.json()["cells"][0]
    assert (cell["accuracy"]["correct"], cell["accuracy"]["count"]) == (18, 20)
    assert cell["artifact"]["sqnr_db"] > 100
