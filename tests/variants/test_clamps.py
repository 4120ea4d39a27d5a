"""Which clamp follows which layer, and that the simulation rounds after it as the formats do."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from harness.variants.activations import clamps
from harness.variants.simulate import Simulation


class Clamped(nn.Module):
    """One activation module for two layers, functions for others, and a layer that two things read."""

    def __init__(self) -> None:
        super().__init__()
        self.relu6, self.norm = nn.ReLU6(), nn.Identity()
        self.a, self.b, self.c, self.d, self.e = (nn.Linear(4, 4) for _ in range(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu6(self.norm(self.a(x)))
        x = self.relu6(self.b(x)) + functional.hardtanh(self.c(x), max_val=2.0)
        x = torch.relu(self.d(x))
        y: torch.Tensor = self.e(x)
        return y.clamp(0, 1) + y


def test_clamps_are_found_as_modules_and_as_functions() -> None:
    assert clamps(Clamped()) == {"a": (0, 6), "b": (0, 6), "c": (-1, 2), "d": (0, math.inf)}


def test_a_reused_relu6_is_rounded_as_one_that_is_used_once() -> None:
    class Net(nn.Module):
        """Two layers whose outputs reach far outside of the clamp."""

        def __init__(self, *, reused: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
            self.first = nn.ReLU6()
            self.second = self.first if reused else nn.ReLU6()
            with torch.no_grad():
                self.a.weight.mul_(20)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.second(self.b(self.first(self.a(x))))
            return y

    items = [(x,) for x in torch.randn((8, 1, 3, 8, 8), generator=torch.Generator().manual_seed(0))]
    outputs = [Simulation(Net(reused=reused).eval(), items).run(("a", "b")) for reused in (True, False)]
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-5
