"""TorchScript inside a network: captured where nothing is lost by it, left alone where something would be."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn

from harness.model.unscript import scripts_in, unscript

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.norm(self.fc(x))) * x


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(x.sum()) > 0:
            return x * 2
        return x - 1


class Outer(nn.Module):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.head, self.parts = nn.Linear(8, 3), nn.ModuleList([nn.Sequential(nn.Linear(8, 8), inner)])

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.parts[0](x))


class Twice(Outer):
    def forward(self, x: torch.Tensor) -> Any:
        inner = self.parts[0]
        return self.head(torch.cat([inner(x), inner(x[:1])]))


class Reads(Outer):
    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.parts[0](x) + self.get_submodule("parts.0.1.fc").bias)


class InPlace(Outer):
    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.parts[0](x.mul_(2)))


def scripted(kind: Any, inner: Any) -> Any:
    torch.manual_seed(0)
    return kind(torch.jit.script(inner().eval())).eval()


def outputs(network: Any, x: Any) -> Any:
    with torch.no_grad():
        return network(x)


@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_scripted_part_becomes_a_graph_that_can_be_exported_and_pickled(how: str) -> None:
    torch.manual_seed(0)
    inner, x = Gate().eval(), torch.randn(4, 8)
    part = torch.jit.script(inner) if how == "script" else torch.jit.trace(inner, torch.randn(4, 8))
    network = Outer(part).eval()
    expected = outputs(network, x)
    unscript(network, (torch.randn(4, 8),))
    assert scripts_in(network) == {}
    torch.testing.assert_close(outputs(network, x), expected)
    exported = torch.export.export(copy.deepcopy(network), (x,)).module()
    torch.testing.assert_close(outputs(exported, x), expected)
    torch.save(network, io.BytesIO())
    assert sum(p.numel() for p in network.parameters()) == 8 * 8 + 8 + 8 * 8 + 8 + 2 * 8 + 8 * 3 + 3


@pytest.mark.parametrize(("kind", "inner"), [(Outer, Branch), (Twice, Gate), (Reads, Gate)])
def test_a_part_that_branches_changes_shapes_or_is_read_stays_as_it_is(kind: Any, inner: Any) -> None:
    network = scripted(kind, inner)
    x = torch.randn(4, 8)
    before = {sign: outputs(network, sign * x) for sign in (1, -1)}
    unscript(network, (x,))
    assert list(scripts_in(network)) == ["parts.0.1"]
    for sign, expected in before.items():
        torch.testing.assert_close(outputs(network, sign * x), expected)


def test_a_recurrent_cell_is_captured() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.jit.script(nn.GRUCell(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = x.new_zeros(1, 4)
            for step in range(3):
                state = self.cell(x[:, step], state)
            return state

    torch.manual_seed(0)
    network, x = Steps().eval(), torch.randn(1, 3, 4)
    expected = outputs(network, x)
    unscript(network, (torch.randn(1, 3, 4),))
    assert scripts_in(network) == {}
    torch.testing.assert_close(outputs(network, x), expected)


def test_a_part_of_a_network_that_changes_its_input_is_captured_and_the_example_stays() -> None:
    network, example = scripted(InPlace, Gate), torch.ones(2, 8)
    unscript(network, (example,))
    assert not scripts_in(network)
    assert example.tolist() == torch.ones(2, 8).tolist()


def test_a_network_without_torchscript_is_not_even_run() -> None:
    class Never(nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    unscript(Never(), (torch.zeros(1),))
    assert scripts_in(torch.jit.script(Gate())) == {}
