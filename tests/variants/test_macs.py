"""Multiply-accumulates, counted by hand from the sizes: n tokens or steps of d numbers, h heads, u units."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.variants.make import count_macs

N, D, H, U = 10, 32, 4, 24
ATTENTION = 4 * D * D * N + 2 * N * N * D
X = torch.zeros(1, N, D)


class First(nn.Module):
    """The first output of a layer, which is called with its input ``times`` times."""

    def __init__(self, layer: nn.Module, times: int = 1) -> None:
        super().__init__()
        self.layer, self.times = layer, times

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(*[x] * self.times)[0]


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.view(1, N, H, D // H).transpose(1, 2)
        return functional.scaled_dot_product_attention(y, y, y)


def encoder() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(D, H, 64, batch_first=True)


@pytest.mark.parametrize(
    ("network", "example", "macs"),
    [
        (First(nn.MultiheadAttention(D, H, batch_first=True), 3), X, ATTENTION),
        (encoder(), X, ATTENTION + 2 * D * 64 * N),
        (nn.TransformerEncoder(encoder(), 2, enable_nested_tensor=False), X, 2 * (ATTENTION + 2 * D * 64 * N)),
        (Scaled(), X, 2 * N * N * D),
        (First(nn.LSTM(D, U, batch_first=True, bidirectional=True)), X, 2 * N * 4 * U * (D + U)),
        (First(nn.GRU(D, U, batch_first=True)), X, N * 3 * U * (D + U)),
        (nn.Linear(D, U), X, N * D * U),
        (nn.Conv1d(8, 6, 3, groups=2), torch.zeros(1, 8, 12), 6 * 10 * 4 * 3),
        (nn.ConvTranspose2d(8, 4, 3, 2, groups=2), torch.zeros(1, 8, 5, 5), 8 * 25 * 2 * 9),
    ],
)
def test_macs_are_those_of_the_sizes_also_inside_fused_kernels(
    network: nn.Module, example: torch.Tensor, macs: int
) -> None:
    assert count_macs(network.eval(), (example,)) == macs
