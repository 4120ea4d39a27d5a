"""Ready-made .onnx and .tflite files run from start to report in an environment that has no PyTorch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import CommandLine, call_python

ROOT = Path(__file__).parents[2]

# Python imports a module of this name by itself when it starts, so the block holds in worker and runner processes too.
BLOCK = """
import os, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "executorch", "litert_torch", "onnx", "onnxscript"):
            with open(os.environ["BLOCKED_IMPORTS"], "a") as log:
                log.write(name + "\\n")
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Block())
"""

CARD = """
[model]
name = "{name}"
task = "classification"
source = "net.{format}"
{metric}

[[input]]
name = "image"
dtype = "float32"
shape = [1, 1, 8, 8]

[data]
source = "{data}"
"""

METRIC = """
import numpy as np

def margin(outputs, split):
    scores = np.sort(outputs[0].reshape(len(outputs[0]), -1))
    return scores[:, -1] - scores[:, -2]
"""


@pytest.fixture
def blocked(tmp_path: Path) -> dict[str, str]:
    """The environment of processes that cannot import PyTorch or any exporter, and that log each attempt."""
    folder = tmp_path / "block"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCK)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "BLOCKED_IMPORTS": str(tmp_path / "blocked.txt")}


def model(folder: Path, file: Path, *, data: str, metric: str = "") -> str:
    """Write the folder of a model whose network is a ready-made file."""
    folder.mkdir()
    shutil.copy(file, folder / f"net{file.suffix}")
    text = CARD.format(name=folder.name, format=file.suffix[1:], data=data, metric=metric)
    (folder / "model.toml").write_text(text)
    return str(folder)


def test_the_block_blocks(blocked: dict[str, str], tmp_path: Path) -> None:
    done = call_python("-c", "import torch", cwd=tmp_path, env=blocked)
    assert "ImportError: torch is blocked" in done.err
    assert Path(blocked["BLOCKED_IMPORTS"]).read_text() == "torch\n"


def test_ready_files_run_without_torch(
    phonebench: CommandLine, tmp_path: Path, digits_files: dict[tuple[str, str], Path], blocked: dict[str, str]
) -> None:
    """Data from Python, an .npz and photos, and a metric that the model defines."""
    onnx, tflite = digits_files["onnx", "int8"], digits_files["tflite", "int8"]
    digits = np.load(ROOT / "models" / "digits" / "digits.npz")
    images, labels = digits["images"][digits["split"] != 0], digits["labels"][digits["split"] != 0]
    code = model(tmp_path / "code", onnx, data="data:load", metric='metric = "score:margin"')
    shutil.copy(ROOT / "models" / "digits" / "data.py", tmp_path / "code")
    shutil.copy(ROOT / "models" / "digits" / "digits.npz", tmp_path / "code")
    (tmp_path / "code" / "score.py").write_text(METRIC)
    arrays = model(tmp_path / "arrays", tflite, data="digits.npz")
    inputs = images.reshape(-1, 1, 1, 8, 8).astype(np.float32) / 16
    np.savez(tmp_path / "arrays" / "digits.npz", inputs=inputs, labels=labels.astype(np.int64))
    photos = model(tmp_path / "photos", onnx, data="photos")
    for index, (image, label) in enumerate(zip(images[:60], labels[:60], strict=True)):
        file = tmp_path / "photos" / "photos" / str(label) / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image.astype(np.uint16) * 255 // 16).astype(np.uint8)).save(file)
    done = phonebench("run", code, arrays, photos, "--cache-dir", str(tmp_path / "cache"), "--json", env=blocked)
    assert done.code == 0, done.err
    cells = done.json()["cells"]
    assert [(c["model"], c["format"], c["status"]) for c in cells] == [
        ("code", "onnx", "ok"),
        ("arrays", "tflite", "ok"),
        ("photos", "onnx", "ok"),
    ]
    assert all(cell["accuracy"]["value"] > 0.9 for cell in cells)
    assert cells[0]["scores"]["metric"] == "margin"
    assert next((tmp_path / "results").glob("*/report.html")).stat().st_size > 10_000
    assert not Path(blocked["BLOCKED_IMPORTS"]).exists()
