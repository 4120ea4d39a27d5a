"""A model of two parts for the tests: a backbone with two outputs, and a head that takes both."""

from __future__ import annotations

from pathlib import Path

from tests.model.folders import make_folder

CARD = """\
[model]
name = "two"
task = "classification"

[[part]]
name = "backbone"
source = "network:backbone"

[[part]]
name = "head"
source = "network:head"
weights = "network:weights"
after = "backbone"

[[input]]
name = "x"
dtype = "float32"
shape = [1, 4]
range = [0, 1]

[data]
source = "data:load"
"""

NETWORK = """\
import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 8), nn.Linear(4, 6)

    def forward(self, x):
        return self.one(x).relu(), self.two(x)


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(14, 3)

    def forward(self, one, two):
        return self.out(torch.cat([one, two], 1))


def backbone():
    return Backbone()


def head():
    return Head()


def weights():
    return {"out.weight": torch.full((3, 14), 0.5), "out.bias": torch.arange(3.0)}
"""

DATA = """\
import numpy as np

def load(split):
    rng = np.random.default_rng({"train": 0, "calibration": 1, "test": 2}[split])
    return rng.random((20, 1, 4), dtype=np.float32), np.full(20, 2)
"""


def make_parts(folder: Path, *, card: str = CARD) -> Path:
    """Write the folder of a model of two parts."""
    return make_folder(folder, card=card, network=NETWORK, data=DATA)
