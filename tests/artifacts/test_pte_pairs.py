"""Layers and activations that XNNPACK computes together: one range for both, and one node in the delegate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.pte import PteExporter
from harness.readers.pte import read_pte
from harness.spec.formats import Backend
from harness.wire.tensors import Array
from tests.artifacts.shop import float_model, make_network, recipe, run_file

pytestmark = pytest.mark.filterwarnings("ignore")

Activation = Callable[[torch.Tensor], torch.Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "ReLU": nn.ReLU(),
    "ReLU6": nn.ReLU6(),
    "relu6": functional.relu6,
    "Hardtanh": nn.Hardtanh(-2, 3),
    "clamp": lambda x: x.clamp(0, 6),
    "clamp_min": lambda x: x.clamp_min(0),
    "clamp by name": lambda x: torch.clamp(x, max=4.0, min=-1.0),
}
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(4, 8, 3),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 8, 2, stride=2),
    "linear": lambda: nn.Linear(12, 8),
}
INPUTS: Array = np.random.default_rng(0).standard_normal((12, 1, 4, 12, 12)).astype(np.float32)


class Pair(nn.Module):
    """A layer whose outputs reach far outside of the activation that follows."""

    def __init__(self, layer: nn.Module, activation: Activation) -> None:
        super().__init__()
        self.layer, self.activation = layer, activation
        with torch.no_grad():
            layer.get_parameter("weight").mul_(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.layer(x))


def sqnr_db(network: nn.Module, path: Path, inputs: Array) -> float:
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    error = np.stack(list(run_file(path, inputs))) - expected
    return float(10 * np.log10((expected**2).sum() / (error**2).sum()))


def exported(network: nn.Module, folder: Path, inputs: Array = INPUTS) -> Path:
    path = folder / "model.pte"
    PteExporter(float_model(network, inputs)).export(recipe("int8-minmax"), Backend.XNNPACK, path)
    return path


@pytest.mark.parametrize(
    ("layer", "activation"),
    [*(("convolution", name) for name in ACTIVATIONS), *((name, "ReLU6") for name in LAYERS), ("linear", "ReLU")],
)
def test_a_layer_and_its_activation_have_one_range_and_one_node(layer: str, activation: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Pair(LAYERS[layer](), ACTIVATIONS[activation]).eval()
    path = exported(network, tmp_path)
    facts = read_pte(path)
    # The input is quantised, the layer runs, the output is dequantised. One more node lays out the input.
    assert facts.nodes_delegated is not None
    assert facts.nodes_delegated <= 5
    assert (facts.partitions, facts.kernel_calls) == (1, 0)
    assert sqnr_db(network, path, INPUTS) > 25
    # Quantised before the clamp, the outputs would share the levels with all values that the clamp cuts off.
    assert len(np.unique(np.stack(list(run_file(path, INPUTS))))) > 100


def test_a_layer_that_something_else_reads_keeps_its_own_range(tmp_path: Path) -> None:
    class Both(Pair):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.layer(x)
            return self.activation(y) + y

    torch.manual_seed(0)
    network = Both(LAYERS["convolution"](), functional.relu6).eval()
    assert sqnr_db(network, exported(network, tmp_path), INPUTS) > 30


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), lambda x: x.mean((2, 3), keepdim=True)])
def test_the_mean_over_an_image_has_its_own_range(pool: Activation, tmp_path: Path) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Conv2d(4, 8, 1), nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.head(pool(self.layer(x)).flatten(1))
            return scores

    network = make_network(Pooled)
    # Values that nearly cancel: their mean is a thousandth of their range.
    inputs = np.random.default_rng(0).standard_normal((8, 1, 4, 64, 64)).astype(np.float32)
    path = exported(network, tmp_path, inputs)
    assert read_pte(path).kernel_calls == 0

    assert sqnr_db(network, path, inputs) > 30


@pytest.mark.parametrize("pad", [nn.ZeroPad2d((0, 1, 0, 1)), lambda x: functional.pad(x, (1, 1, 1, 1))])
def test_padding_before_a_layer_in_float_stays_in_float(pad: Activation, tmp_path: Path) -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.last(self.second(pad(functional.relu6(self.first(x)))))
            return y

    network = make_network(Padded)
    path = tmp_path / "model.pte"
    PteExporter(float_model(network, INPUTS)).export(recipe("int8", "second"), Backend.XNNPACK, path)
    assert sqnr_db(network, path, INPUTS) > 30


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_a_pool_without_a_stride_is_lowered(variant: str, tmp_path: Path) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(4, 8, 3), nn.Conv2d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.last(functional.max_pool2d(self.first(x), 2))
            return y

    network = make_network(Pooled)
    path = tmp_path / "model.pte"
    PteExporter(float_model(network, INPUTS)).export(recipe(variant), Backend.XNNPACK, path)
    assert read_pte(path).kernel_calls == 0
    assert sqnr_db(network, path, INPUTS) > 30
