"""Means in static int8 ``.ptl`` have a range of their own, not the much wider one of the image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.ptl import PtlExporter
from harness.wire.tensors import Array
from tests.artifacts.shop import float_model, recipe, run_file

pytestmark = pytest.mark.filterwarnings("ignore")

Mean = Callable[[torch.Tensor], torch.Tensor]

MEANS: dict[str, Mean] = {
    "layer": nn.AdaptiveAvgPool2d(1),
    "function": lambda y: functional.adaptive_avg_pool2d(y, 1),
    "method": lambda y: y.mean((2, 3)),
    "torch.mean": lambda y: torch.mean(y, [2, 3], keepdim=True),
}


class Scored(nn.Module):
    def __init__(self, mean: Mean) -> None:
        super().__init__()
        self.first, self.last, self.mean = nn.Conv2d(3, 16, 3), nn.Linear(16, 6), mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(self.mean(functional.relu(self.first(x))).flatten(1))
        return scores


def spotted() -> Array:
    """Images that are dark except for a few bright points."""
    random = np.random.default_rng(0)
    images = random.random((24, 1, 3, 20, 20)) * 0.3
    return np.where(random.random(images.shape) > 0.995, 20.0, images).astype(np.float32)


@pytest.mark.parametrize("kind", MEANS)
def test_a_mean_keeps_its_precision_beside_large_single_values(kind: str, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Scored(MEANS[kind]).eval()
    inputs = spotted()
    PtlExporter(float_model(network, inputs)).export(recipe("int8-minmax"), None, tmp_path / "a.ptl")
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs]).ravel()
    apart = np.stack(list(run_file(tmp_path / "a.ptl", inputs))).ravel() - expected
    assert 10 * np.log10((expected**2).mean() / (apart**2).mean()) > 36
