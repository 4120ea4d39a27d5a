"""A small convolutional network for 8x8 digits: one plain convolution, then depthwise-separable ones.

It has only layers that every mobile runtime supports, also quantised: convolution, batch norm, ReLU, pooling, linear.
"""

from __future__ import annotations

import torch
from torch import nn


def conv(channels_in: int, channels_out: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias (same size at stride 1), batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def separable(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Sequential:
    """A 3x3 depthwise convolution, then a 1x1 one."""
    return nn.Sequential(
        conv(channels_in, channels_in, kernel=3, stride=stride, groups=channels_in),
        conv(channels_in, channels_out, kernel=1),
    )


class DigitNet(nn.Module):
    """Maps images (n, 1, 8, 8) in 0 … 1 to logits (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(1, 24, kernel=3),
            separable(24, 48),
            separable(48, 96, stride=2),
            separable(96, 96),
            separable(96, 112),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(112, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.head(self.pool(self.features(image)).flatten(1))
        return logits


def build() -> nn.Module:
    """Return the network with weights as initialised."""
    return DigitNet()


def build_student() -> nn.Module:
    """Return a network of linear layers with the same inputs and outputs and a ninth of the weights, as initialised.

    Unlike its teacher, it does not know which pixels are neighbours, so the effect of the teacher is easy to see.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
