"""A tiny network with the layers of mobile networks: convolution, batch norm, depthwise, pooling, linear."""

from __future__ import annotations

import torch
from torch import nn


class Probe(nn.Module):
    """Input ``(1, 3, 16, 16)``, output ``(1, 4)``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.ReLU(),
            nn.Conv2d(8, 32, 1),
            nn.ReLU(),
        )
        # 32 input features: int4 quantisers work on groups of 32 weights.
        self.head = nn.Linear(32, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return four scores."""
        pooled: torch.Tensor = self.features(image).mean(dim=(2, 3))
        scores: torch.Tensor = self.head(pooled)
        return scores


def build() -> nn.Module:
    """Return the network with seeded weights."""
    torch.manual_seed(0)
    return Probe().eval()
