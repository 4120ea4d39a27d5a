"""Pickled networks whose classes are in a model folder, read beside another copy of the folder or after an edit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.model.card import ModelOptions
from harness.model.network import load_network
from harness.model.pickled import load_pickled
from harness.model.resolve import resolve
from tests.model.folders import make_folder

CLASS = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.keep = keep

    def forward(self, x):
        return self.keep(self.layer(x))

def keep(x):
    return x

def build():
    return Net()
"""
DICT = CLASS.replace("self.keep(self.layer(x))", '{"a": self.layer(x), "b": [x]}')
TRACED = """
import torch
from torch import fx, nn

@fx.wrap
def twice(x):
    return 2 * x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return twice(self.layer(x))

def build():
    return fx.symbolic_trace(Net())
"""
HELPED = "from torch import nn\nimport layers\n\ndef build():\n    return nn.Sequential(layers.Net(), nn.ReLU())\n"
INNER = "from torch import nn\nfrom blocks import net\n\ndef build():\n    return nn.Sequential(net.Net(), nn.ReLU())\n"


def _touched(folder: Path) -> Path:
    for file in folder.rglob("*.py"):
        os.utime(file, ns=(1, 1))
    return folder


def _copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name("another checkout")))


def _moved(folder: Path) -> Path:
    return folder.rename(folder.with_name("moved"))


@pytest.mark.parametrize("change", [_copied, _moved, _touched])
@pytest.mark.parametrize(
    ("network", "helper"),
    [(CLASS, ""), (DICT, ""), (TRACED, ""), (HELPED, "layers"), (INNER, "blocks/net")],
    ids=["class", "dict outputs", "traced", "helper module", "helper package"],
)
def test_a_network_is_read_beside_another_copy(
    network: str, helper: str, change: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    folder.joinpath("blocks").mkdir(parents=True)
    folder.joinpath("blocks", "__init__.py").touch()
    make_folder(folder, network=network, **({helper: CLASS} if helper else {}))
    original = load_network(resolve(str(folder), ModelOptions()))
    torch.save(original, tmp_path / "network.pt")
    changed = change(folder)
    loaded = load_pickled(tmp_path / "network.pt", changed)
    x = torch.rand(1, 4)
    assert _flat(loaded(x)) == _flat(original(x))
    # The classes are those of the folder that was asked for, not those that the first folder left in the process.
    rebuilt = load_network(resolve(str(changed), ModelOptions()))
    assert [type(m).__module__ for m in loaded.modules()] == [type(m).__module__ for m in rebuilt.modules()]


def _flat(result: torch.Tensor | tuple[torch.Tensor, ...]) -> list[object]:
    return [tensor.tolist() for tensor in (result if isinstance(result, tuple) else (result,))]
