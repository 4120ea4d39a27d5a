"""Which clamp follows which layer, and that the simulation rounds after it as the formats do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.variants.activations import clamps
from harness.variants.simulate import Simulation
from harness.variants.step import UnfitError


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


class Chosen(nn.Module):
    """Looks a layer up by the size of its input, which no tracing by symbols can do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = {4: self.layer}[x.shape[-1]](x)
        return y


def test_a_network_that_raises_anything_while_it_is_traced_is_unfit() -> None:
    with pytest.raises(UnfitError, match="cannot be traced to see which layers follow each other .KeyError"):
        clamps(Chosen())


class Named(nn.Module):
    """A parameter and an input with the names of functions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.clamp = nn.Linear(4, 4), nn.Parameter(torch.ones(4))

    def forward(self, relu: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(relu) * self.clamp
        return y


def test_names_of_functions_are_no_calls() -> None:
    assert clamps(Named()) == {}
