"""Transposed convolutions with groups, which no format quantises per channel: the rest of the network is int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.artifacts.export.registry import EXPORTERS
from harness.spec.formats import Backend
from harness.wire import Format
from tests.artifacts.shop import float_model, make_network, read_content, recipe, run_file

pytestmark = pytest.mark.filterwarnings("ignore")


class Deconvolved(nn.Module):
    """A depthwise and a grouped transposed convolution between plain layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
        self.depthwise = nn.ConvTranspose2d(16, 16, 4, stride=2, padding=1, groups=16, bias=False)
        self.grouped = nn.ConvTranspose2d(16, 8, 3, groups=2)
        self.plain = nn.ConvTranspose2d(8, 5, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.plain(torch.relu(self.grouped(self.depthwise(self.first(x)))))
        return y


@pytest.mark.parametrize("format_", [Format.ONNX, Format.PTL, Format.PTE])
@pytest.mark.parametrize("variant", ["int8", "int8-tensor"])
def test_the_rest_of_the_network_is_int8_and_right(format_: Format, variant: str, tmp_path: Path) -> None:
    network = make_network(Deconvolved)
    inputs = np.random.default_rng(0).standard_normal((8, 1, 3, 8, 8)).astype(np.float32)
    path = tmp_path / f"model.{format_.value}"
    backend = Backend.PORTABLE if format_ is Format.PTE else None
    EXPORTERS[format_](float_model(network, inputs)).export(recipe(variant), backend, path)
    assert read_content(path).weights[16, 3, 3, 3] in ("int8", "qint8", "char")
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    error = np.stack(list(run_file(path, inputs))) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 30
