"""Small networks of the kinds that static int8 finds difficult, trained in seconds on the digits of this repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from harness.wire.tensors import Array

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "digits.npz"
SIZE = 16
STEPS, BATCH, LEARNING_RATE = 250, 64, 3e-3
CALIBRATION, TEST = 100, 200


class Gate(nn.Module):
    """Squeeze and excitation: scales each channel by what its mean says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))
        return x * functional.hardsigmoid(self.up(scale))


class Inverted(nn.Module):
    """MobileNet's block: wide, depthwise, narrow, with a sum around it."""

    def __init__(self, channels: int, activation: Callable[[], nn.Module], *, gate: bool = False) -> None:
        super().__init__()
        wide = 4 * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            activation(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            activation(),
            Gate(wide) if gate else nn.Identity(),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y


def mobile(activation: Callable[[], nn.Module], *, gate: bool) -> nn.Module:
    """Three blocks between a strided convolution and a classifier."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        activation(),
        *(Inverted(16, activation, gate=gate) for _ in range(3)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class Block(nn.Module):
    """A transformer's block, with the norm first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.before(x)).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.out(mixed)
        y: torch.Tensor = x + self.down(functional.gelu(self.up(self.after(x))))
        return y


class Vit(nn.Module):
    """Patches, positions, blocks and a class token."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 4, stride=4)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 17, width))
        self.blocks = nn.Sequential(*(Block(width, 3) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.patch(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.places
        scores: torch.Tensor = self.head(self.norm(self.blocks(y))[:, 0])
        return scores


class Encoder(nn.Module):
    """A transformer encoder over the rows of the image, averaged over time."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed, self.places = nn.Linear(SIZE, width), nn.Parameter(torch.zeros(1, SIZE, width))
        self.blocks, self.head = nn.Sequential(*(Block(width, 4) for _ in range(2))), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.blocks(self.embed(x.squeeze(1)) + self.places).mean(1))
        return scores


class Unet(nn.Module):
    """Removes noise from an image, with a copy of every resolution carried across."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = self.pair(1, 16), self.pair(16, 32)
        self.widen, self.up = nn.ConvTranspose2d(32, 16, 2, stride=2), self.pair(32, 16)
        self.head = nn.Conv2d(16, 1, 1)

    @staticmethod
    def pair(inputs: int, outputs: int) -> nn.Module:
        """Two convolutions with batch norms."""
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        across = self.down(x)
        deep = self.widen(self.deep(functional.max_pool2d(across, 2)))
        image: torch.Tensor = self.head(self.up(torch.cat([across, deep], 1)))
        return image


class Lstm(nn.Module):
    """Reads the rows of the image one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Linear(SIZE, 32), nn.ReLU())
        self.lstm, self.head = nn.LSTM(32, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.front(x.squeeze(1)))
        scores: torch.Tensor = self.head(states[:, -1])
        return scores


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "depthwise, ReLU6": lambda: mobile(nn.ReLU6, gate=False),
    "depthwise, SE, hard-swish": lambda: mobile(nn.Hardswish, gate=True),
    "ViT": Vit,
    "transformer encoder": Encoder,
    "U-Net": Unet,
    "LSTM": Lstm,
}
# The network whose output is an image instead of class scores.
IMAGES = "U-Net"


@dataclass(frozen=True, slots=True, kw_only=True)
class Awkward:
    """A trained network with inputs of shape (count, 1, 1, 16, 16): to calibrate on and, apart from those, to test."""

    network: nn.Module
    classes: bool
    calibration: Array
    test: Array


def trained(name: str) -> Awkward:
    """Train the network ``name``; the same every time on one machine."""
    data = np.load(DIGITS)
    torch.manual_seed(0)
    images = functional.interpolate(
        torch.from_numpy(data["images"]).float().reshape(-1, 1, 8, 8), SIZE, mode="bilinear"
    )
    images, labels = images / images.max(), torch.from_numpy(data["labels"]).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], labels[order]
    noisy = images + 0.3 * torch.randn(images.shape)
    inputs = noisy if name == IMAGES else images
    held_out = CALIBRATION + TEST
    network = NETWORKS[name]()
    _train(network, inputs[held_out:], images[held_out:] if name == IMAGES else labels[held_out:])
    rows = inputs[:held_out].unsqueeze(1).numpy()
    return Awkward(
        network=network.eval(), classes=name != IMAGES, calibration=rows[:CALIBRATION], test=rows[CALIBRATION:]
    )


def _train(network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    loss_of = functional.cross_entropy if targets.dim() == 1 else functional.mse_loss
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        rows = torch.randint(len(inputs), (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss_of(network(inputs[rows]), targets[rows]).backward()
        optimizer.step()
        schedule.step()
