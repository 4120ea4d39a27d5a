"""Parametrisations become plain weights: the outputs stay, and the network can be copied, pickled and trained."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from harness.model.parametrised import fold_parametrisations

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
X = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))


class Symmetric(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.triu() + x.triu(1).T


def own() -> nn.Module:
    layer = nn.Linear(8, 8)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "bias", nn.Tanh())
    return layer


def pruned() -> nn.Module:
    layer = nn.Linear(8, 8)
    prune.l1_unstructured(layer, "weight", 0.5)
    prune.random_unstructured(layer, "weight", 0.2)
    prune.l1_unstructured(layer, "bias", 0.3)
    return layer


class Last(nn.Module):
    """The output of a recurrent layer with a normed weight."""

    def __init__(self, norm: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.layer = norm(nn.LSTM(8, 8), "weight_hh_l0")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layer(x)[0]
        return output


@pytest.mark.parametrize(
    "build",
    [
        lambda: weight_norm(nn.Linear(8, 8)),
        lambda: weight_norm(nn.ConvTranspose1d(8, 8, 3), dim=1),
        lambda: weight_norm(weight_norm(nn.Linear(8, 8)), "bias", dim=-1),
        lambda: spectral_norm(nn.Linear(8, 8)),
        lambda: parametrizations.weight_norm(nn.Conv1d(8, 8, 3)),
        lambda: parametrizations.spectral_norm(nn.Linear(8, 8)),
        lambda: parametrizations.orthogonal(nn.Linear(8, 8)),
        lambda: parametrizations.spectral_norm(parametrizations.weight_norm(nn.Linear(8, 8))),
        own,
        pruned,
        lambda: Last(weight_norm),
        lambda: Last(parametrizations.weight_norm),
    ],
)
def test_folding_keeps_the_outputs_and_leaves_plain_parameters(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 8), build()).eval()
    plain = {name for name in dict(network.named_parameters()) if not name.startswith("1.")}
    with torch.no_grad():
        expected = network(X)
    fold_parametrisations(network)
    with torch.no_grad():
        torch.testing.assert_close(network(X), expected)
        torch.testing.assert_close(copy.deepcopy(network)(X), expected)
    torch.save(network, io.BytesIO())
    names = {name.rpartition(".")[2] for name, _ in network.named_parameters()}
    assert names <= {"weight", "bias", *(f"{kind}_{at}_l0" for kind in ("weight", "bias") for at in ("ih", "hh"))}
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert len(dict(network.named_parameters())) >= len(plain) + 2
    assert not list(network.named_buffers())
    network.load_state_dict(network.state_dict())


def test_a_network_without_them_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold_parametrisations(network)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
