"""Small networks and data to test steps on: three classes of points that no line can separate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.model.card import ModelOptions, Task
from harness.model.data import Dataset, Split, load_split
from harness.model.network import load_network
from harness.model.resolve import resolve
from harness.variants.step import StepContext
from harness.wire import DType, TensorSpec
from tests.artifacts.builders import CARD

SPEC = TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 4))


def rings(count: int, seed: int) -> Dataset:
    """Points of four numbers; the class is the distance of the first two from the origin."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((count, 1, 4), dtype=np.float32)
    distances = np.square(points[:, 0, :2]).sum(1)
    return Dataset(inputs=(points,), labels=np.digitize(distances, (0.8, 2.2)).astype(np.int64))


def mlp(width: int = 24, outputs: int = 3) -> nn.Module:
    """A seeded network from four numbers to ``outputs``, with batch norm, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, outputs)).eval()


def ring_context(network: nn.Module | None = None, **changes: Any) -> StepContext:
    """The context of a classifier of rings, untrained unless ``network`` is given."""
    context = StepContext(
        card=replace(CARD, inputs=(SPEC,)),
        inputs=(SPEC,),
        original=network or mlp(),
        calibration=rings(100, seed=1),
        random_calibration=False,
        train=lambda: rings(400, seed=0),
    )
    return replace(context, **changes)


def unlabelled(dataset: Dataset) -> Dataset:
    """The same inputs without labels."""
    return replace(dataset, labels=None)


def regression_context(network: nn.Module) -> StepContext:
    """The context of a network whose outputs are not classes."""
    return ring_context(
        network,
        card=replace(CARD, inputs=(SPEC,), task=Task.REGRESSION),
        calibration=unlabelled(rings(100, seed=1)),
        train=lambda: unlabelled(rings(400, seed=0)),
    )


def digits_context() -> StepContext:
    """The context of the bundled digits network with its own data."""
    card = resolve("digits", ModelOptions())
    calibration = load_split(card, Split.CALIBRATION)
    assert calibration is not None
    return StepContext(
        card=card,
        inputs=card.inputs,
        original=load_network(card),
        calibration=calibration,
        random_calibration=False,
        train=lambda: load_split(card, Split.TRAIN),
    )


def digits_accuracy(network: nn.Module) -> float:
    """Top-1 accuracy (0…1) on the 360 held-out digits."""
    data = load_split(resolve("digits", ModelOptions()), Split.TEST)
    assert data is not None
    assert data.labels is not None
    with torch.no_grad():
        classes = network(torch.from_numpy(data.inputs[0][:, 0])).argmax(1)
    return float((classes == torch.from_numpy(data.labels)).float().mean())


def weights(network: nn.Module) -> torch.Tensor:
    """All values of a network's state in one row."""
    return torch.cat([tensor.double().flatten() for tensor in network.state_dict().values()])


def forward(function: Callable[[torch.Tensor], torch.Tensor], network: nn.Module | None = None) -> nn.Module:
    """A network that applies ``function`` to the output of ``network``."""

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network or mlp()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(self.inner(x))

    return Wrapped().eval()


IMAGE = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 3, 8, 8))


def images(count: int, seed: int) -> Dataset:
    """Noise in three colours; the class is the brightest colour."""
    rng = np.random.default_rng(seed)
    pixels = rng.standard_normal((count, 1, 3, 8, 8), dtype=np.float32)
    return Dataset(inputs=(pixels,), labels=pixels.mean((1, 3, 4)).argmax(1).astype(np.int64))


def image_context(network: nn.Module, **changes: Any) -> StepContext:
    """The context of a classifier of images with its own calibration and training data."""
    context = StepContext(
        card=replace(CARD, inputs=(IMAGE,)),
        inputs=(IMAGE,),
        original=network,
        calibration=images(40, seed=1),
        random_calibration=False,
        train=lambda: images(160, seed=0),
    )
    return replace(context, **changes)


class Residual(nn.Module):
    """Two convolutions; the output of the second is added to its input."""

    def __init__(self, channels: int, groups: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * channels)
        self.second = nn.Conv2d(2 * channels, channels, 3, padding=1, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.second(torch.relu(self.norm(self.first(x))))
        return y


class Attention(nn.Module):
    """Explicit attention with two heads over the pixels of an image, then two linear layers."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.up = nn.Linear(channels, 4 * channels)
        self.down = nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(2).transpose(1, 2)
        batch, places, channels = rows.shape
        q, k, v = self.qkv(rows).reshape(batch, places, 3, 2, channels // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1)).softmax(-1)
        rows = rows + self.out((weights @ v).transpose(1, 2).reshape(batch, places, channels))
        rows = rows + self.down(torch.relu(self.up(rows)))
        y: torch.Tensor = rows.transpose(1, 2).reshape(x.shape)
        return y


def image_network(*middle: nn.Module, channels: int = 16) -> nn.Module:
    """A seeded network from images to three classes through ``middle``, which keeps the shape; in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stem = (nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))
        network = nn.Sequential(*stem, *middle, *head)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.3)
    return network.eval()
