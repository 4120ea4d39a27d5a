from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.variants import sensitivity
from harness.variants.sensitivity import scan_network
from harness.variants.simulate import Simulation, rounded_weight
from harness.variants.step import UnfitError


def spiky() -> nn.Module:
    """Four linear layers. Int8 cannot hold the inputs of the third: one value is a thousand times the others."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 5))
    with torch.no_grad():
        network.get_parameter("2.weight")[0] *= 3000.0
        network.get_parameter("3.weight")[:, 0] /= 3000.0
    return network.eval()


def items(*shape: int, count: int = 6) -> tuple[tuple[torch.Tensor, ...], ...]:
    torch.manual_seed(1)
    return tuple((torch.randn(*shape),) for _ in range(count))


def test_the_layer_that_int8_cannot_hold_is_the_most_sensitive() -> None:
    scan = scan_network(spiky(), items(1, 8), model="m", key="k", classes=True)
    assert {unit.name for unit in scan.units[:2]} == {"2", "3"}, "the spike leaves 2 and enters 3"
    assert scan.units[0].sqnr_db < scan.units[-1].sqnr_db - 10
    assert scan.kept_sqnr_db[2] > scan.kept_sqnr_db[0] + 10, "keeping both in float mends it"
    assert scan.kept_sqnr_db[-1] == 200, "nothing in int8 is the float network"
    assert [unit.parameters for unit in scan.units if unit.name == "0"] == [8 * 16 + 16]


def test_a_scan_gives_the_same_figures_again_and_leaves_the_network_alone() -> None:
    network = spiky()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first, second = (scan_network(network, items(1, 8), model="m", key="k", classes=True) for _ in range(2))
    assert (first.units, first.kept_sqnr_db) == (second.units, second.kept_sqnr_db)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_batch_norms_are_folded_and_the_output_is_rounded_after_the_activation() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
    with torch.no_grad():
        network.get_parameter("1.weight").fill_(50.0)
    outputs = Simulation(network, items(1, 3, 9, 9))
    assert outputs.layers == ("0", "3")
    assert outputs.parameters("0") == 4 * 27 + 4
    scan = scan_network(network, items(1, 3, 9, 9), model="m", key="k", classes=False)
    assert scan.kept_sqnr_db[0] > 25
    assert scan.int8_agreement is None


class Untraceable(nn.Module):
    """Branches on its input, so it cannot be traced; one layer is never reached."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        layer: nn.Module = self.one if float(x.sum()) < 1e9 else self.other
        return layer(x), x


def test_a_network_that_cannot_be_traced_is_scanned_by_its_modules() -> None:
    scan = scan_network(Untraceable().eval(), items(1, 4), model="m", key="k", classes=True)
    assert [unit.name for unit in scan.units] == ["one"]
    assert scan.units[0].sqnr_db < 80


def test_a_network_without_such_layers_is_refused_in_a_sentence() -> None:
    with pytest.raises(UnfitError, match="no convolution or linear layer"):
        scan_network(nn.ReLU(), items(1, 4), model="m", key="k", classes=True)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_weights_are_rounded_along_their_output_channels(kind: type[nn.Conv2d | nn.ConvTranspose2d]) -> None:
    layer = kind(3, 5, 2)
    along = (slice(None), 1) if kind is nn.ConvTranspose2d else (1,)
    with torch.no_grad():
        layer.weight[along] *= 1e4
    relative = (rounded_weight(layer) - layer.weight).norm() / layer.weight.norm()
    small = layer.weight.abs() < 1
    assert 0 < relative < 0.02
    assert rounded_weight(layer)[small].count_nonzero() > small.sum() * 0.9, "a large channel costs the others nothing"


def test_many_layers_are_scanned_in_blocks() -> None:
    names = [f"block{b}.{i}" for b in range(4) for i in range(3)]
    blocks = sensitivity._units(names, most=5)
    assert list(blocks) == ["block0", "block1", "block2", "block3"]
    assert blocks["block1"] == ("block1.0", "block1.1", "block1.2")
    assert len(sensitivity._units(names, most=12)) == 12
