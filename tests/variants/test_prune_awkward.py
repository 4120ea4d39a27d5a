"""Pruning of networks whose channels are hard to follow: what is cut is right, and what is not has a reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from harness.model.parametrised import fold_parametrisations
from harness.spec.recipe import Prune
from harness.variants.make import count_macs
from harness.variants.step import UnfitError
from harness.variants.steps.prune import Pruned, prune
from tests.variants.contexts import IMAGE, image_context

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
HALF = Prune(ratio=0.5, round_to=1, fine_tune=False)


class Net(nn.Module):
    """Layers by name, and a function of them and the image: the text of a forward."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], torch.Tensor], **layers: Any) -> None:
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.run(self, x)
        return y.mean((2, 3)) if y.ndim == 4 else y


def conv(inputs: int, outputs: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)


relu = functional.relu


def twice(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x], 1)


class Heads(nn.Module):
    """Attention whose queries have four heads and whose keys and values have two, all from fixed sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.query, self.both = nn.Conv2d(IMAGE.shape[1], 32, 1), nn.Linear(32, 32), nn.Linear(32, 32)
        self.out, self.up, self.down, self.head = (
            nn.Linear(32, 32), nn.Linear(32, 64), nn.Linear(64, 32), nn.Linear(32, 3)
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        count, tokens, _ = x.shape
        q = self.query(x).view(count, tokens, 4, 8).transpose(1, 2)
        k, v = self.both(x).view(count, tokens, 2, 2, 8).permute(2, 0, 3, 1, 4).repeat_interleave(2, 2)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, tokens, 32)
        x = x + self.out(mixed)
        scores: torch.Tensor = self.head(x + self.down(functional.gelu(self.up(x)))).mean(1)
        return scores


CHANNELS, SIZE = IMAGE.shape[1], IMAGE.shape[2]
FOLLOWED = {
    "a tensor with itself": lambda: Net(lambda s, x: s.b(twice(relu(s.a(x)))), a=conv(CHANNELS, 8), b=conv(16, 3)),
    "a layer that runs twice": lambda: Net(
        lambda s, x: s.c(relu(s.b(relu(s.b(relu(s.a(x))))))), a=conv(CHANNELS, 8), b=conv(8, 8), c=conv(8, 3)
    ),
    "a transposed convolution": lambda: Net(
        lambda s, x: s.c(relu(s.b(relu(s.a(x))))), a=conv(CHANNELS, 8), b=nn.ConvTranspose2d(8, 8, 4, 2, 1),
        c=conv(8, 3),
    ),
    "a depthwise transposed one": lambda: Net(
        lambda s, x: s.c(relu(s.b(relu(s.a(x))))), a=conv(CHANNELS, 8),
        b=nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8), c=conv(8, 3),
    ),
    "channels weighted by channels": lambda: Net(
        lambda s, x: s.c((y := relu(s.a(x))) * torch.sigmoid(s.b(y.mean((2, 3), keepdim=True)))), a=conv(CHANNELS, 8),
        b=nn.Conv2d(8, 8, 1), c=conv(8, 3),
    ),
    "a flattened image": lambda: Net(
        lambda s, x: s.b(relu(s.a(x)).flatten(1)), a=conv(CHANNELS, 8), b=nn.Linear(8 * SIZE**2, 3)
    ),
    "weight norm": lambda: Net(
        lambda s, x: s.c(relu(s.b(relu(s.a(x))))), a=weight_norm(conv(CHANNELS, 8)),
        b=parametrizations.weight_norm(conv(8, 8)), c=spectral_norm(conv(8, 3)),
    ),
    "grouped heads": Heads,
}  # fmt: skip
LOST = {
    "a flip": lambda: Net(lambda s, x: s.b(relu(s.a(x)).flip(1)), a=conv(CHANNELS, 8), b=conv(8, 3)),
    "a shuffle": lambda: Net(
        lambda s, x: s.b(functional.channel_shuffle(relu(s.a(x)), 2)), a=conv(CHANNELS, 8), b=conv(8, 3)
    ),
    "channels last": lambda: Net(
        lambda s, x: s.b(relu(s.a(x)).permute(0, 2, 3, 1).flatten(1)), a=conv(CHANNELS, 8), b=nn.Linear(8 * SIZE**2, 3)
    ),
    "every second channel": lambda: Net(lambda s, x: s.b(relu(s.a(x))[:, ::2]), a=conv(CHANNELS, 8), b=conv(4, 3)),
    "a pixel shuffle": lambda: Net(
        lambda s, x: s.b(functional.pixel_shuffle(s.a(x), 2)), a=conv(CHANNELS, 8), b=conv(2, 3)
    ),
    "a gated half": lambda: Net(lambda s, x: s.b(functional.glu(s.a(x), 1)), a=conv(CHANNELS, 16), b=conv(8, 3)),
    "a group norm": lambda: Net(
        lambda s, x: s.b(s.n(s.a(x))), a=conv(CHANNELS, 8), n=nn.GroupNorm(4, 8), b=conv(8, 3)
    ),
}  # fmt: skip


def made(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    network = build().eval()
    fold_parametrisations(network)
    return network


def halved(network: nn.Module) -> Pruned:
    return prune(copy.deepcopy(network), HALF, image_context(network))


def counted(network: nn.Module, example: tuple[torch.Tensor, ...]) -> int:
    """The multiply-accumulates of all layers, from the shapes of their tensors. Products of tensors are left out."""
    total = 0

    def add(layer: Any, inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += output.numel() * layer.weight.shape[1]
        elif isinstance(layer, nn.ConvTranspose2d):
            total += inputs[0].numel() * int(np.prod(layer.weight.shape[1:]))
        elif isinstance(layer, nn.Conv2d):
            total += output.numel() * int(np.prod(layer.weight.shape[1:]))

    hooks = [module.register_forward_hook(add) for module in network.modules()]
    with torch.no_grad():
        network(*example)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("name", FOLLOWED)
def test_channels_that_can_be_followed_are_cut_everywhere(name: str) -> None:
    network = made(FOLLOWED[name])
    pruned, example = halved(network), image_context(network).example()
    assert sum(p.numel() for p in pruned.network.parameters()) < 0.6 * sum(p.numel() for p in network.parameters())
    with torch.no_grad():
        assert pruned.network(*example).shape == network(*example).shape
    macs = count_macs(pruned.network, example)
    assert macs is not None
    # Queries by keys, and weights by values: four heads of eight numbers.
    products = 2 * 4 * 8 * (SIZE * SIZE) ** 2 if name == "grouped heads" else 0
    assert counted(pruned.network, example) + products == macs


@pytest.mark.parametrize("name", sorted(set(FOLLOWED) - {"grouped heads", "weight norm"}))
def test_a_network_of_dead_channels_loses_nothing_with_them(name: str) -> None:
    """The magnitudes say which channels go. If nothing reads or makes those, the outputs must stay, to the last bit."""
    network = made(FOLLOWED[name])
    dead = [1, 2, 5, 6]
    with torch.no_grad():
        for layer_name, layer in _layers(network).items():
            weight = layer.weight
            if layer_name != "a":
                transposed = isinstance(layer, nn.ConvTranspose2d)
                inputs = weight if transposed else weight.transpose(0, 1)
                for block in range(0, inputs.shape[0], 8) if inputs.shape[0] in (8, 16) else []:
                    inputs[[block + at for at in dead]] = 0
                if inputs.shape[0] == 8 * SIZE**2:
                    inputs.view(8, SIZE**2, -1)[dead] = 0
            if layer_name == "a" or (layer_name == "b" and name != "a tensor with itself" and weight.shape[0] == 8):
                outputs = (
                    weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) and layer.groups == 1 else weight
                )
                outputs[dead], layer.bias[dead] = 0, 0
    example, pruned = image_context(network).example(), halved(network).network
    with torch.no_grad():
        torch.testing.assert_close(pruned(*example), network(*example))


def _layers(network: nn.Module) -> dict[str, Any]:
    return dict(network.named_children())


@pytest.mark.parametrize("name", LOST)
def test_channels_that_cannot_be_followed_are_left_alone_with_the_reason(name: str) -> None:
    with pytest.raises(UnfitError, match=r"a: (removing|its channels cannot|the network does not run|a group norm)"):
        halved(made(LOST[name]))


def test_a_group_that_cannot_be_rated_does_not_end_the_step() -> None:
    network = Net(
        lambda s, x: s.c(relu(s.b(functional.glu(s.a(x), 1)))), a=conv(CHANNELS, 16), b=conv(8, 8), c=conv(8, 3)
    ).eval()
    outcomes = {layer.layer: layer.outcome for layer in halved(network).layers}
    assert outcomes["a"].startswith("left alone: its channels cannot be rated")
    assert outcomes["b"] == "4 of 8 channels"


def test_layers_with_one_weight_are_left_alone() -> None:
    network = Net(
        lambda s, x: s.d(relu(s.c(relu(s.b(relu(s.a(x))))))), a=conv(CHANNELS, 8), b=conv(8, 8), c=conv(8, 8),
        d=conv(8, 3),
    ).eval()  # fmt: skip
    layers = _layers(network)
    layers["c"].weight = layers["b"].weight
    with pytest.raises(UnfitError, match="a, b, c: another layer shares its weight"):
        halved(network)
