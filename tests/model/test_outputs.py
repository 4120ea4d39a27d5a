"""What a network returns becomes a flat tuple with names, whatever it is wrapped in; copies and pickles keep it."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from harness.model.outputs import flat, flattening, is_flat, named

Pair = namedtuple("Pair", "left right")  # noqa: PYI024  what users write
A, B, C = (torch.tensor([float(i)]) for i in range(3))


@dataclass
class Result:
    """A result as some libraries return it."""

    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] | None = None


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (A, ["output_0"]),
        ((A, B), ["output_0", "output_1"]),
        ([A, [B, C]], ["output_0", "output_1.output_0", "output_1.output_1"]),
        ({"y": A, "more": (B, C)}, ["y", "more.output_0", "more.output_1"]),
        (OrderedDict(b=A, a=B), ["b", "a"]),
        (Pair(A, B), ["output_0", "output_1"]),
        (Result(logits=A), ["logits"]),
        (Result(logits=A, hidden=(B, C)), ["logits", "hidden.output_0", "hidden.output_1"]),
        ((A, None, B), ["output_0", "output_2"]),
        (None, []),
        ({}, []),
    ],
)
def test_values_have_the_names_of_their_places(result: Any, names: list[str]) -> None:
    assert list(named(result)) == names
    assert [float(y) for y in flat(result)] == [float(y) for y in named(result).values()]


@pytest.mark.parametrize(
    ("result", "is_one"), [(A, True), ((A, B), True), ([A], False), ({"y": A}, False), (((A,),), False)]
)
def test_only_a_tensor_or_a_tuple_of_tensors_is_flat(result: Any, is_one: bool) -> None:
    assert is_flat(result) is is_one


class Nested(nn.Module):
    """Returns a dict with a list in it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, *, scale: float = 1.0) -> dict[str, Any]:
        return {"y": self.layer(x) * scale, "more": [x, x + 1]}


def outputs_of(network: nn.Module) -> list[list[float]]:
    with torch.no_grad():
        result = network(torch.ones(1, 4))
    assert is_flat(result)
    return [y.flatten().tolist() for y in flat(result)]


def test_a_network_keeps_its_layers_and_its_class() -> None:
    network = flattening(Nested().eval())
    assert isinstance(network, Nested)
    assert [name for name, _ in network.named_modules()] == ["", "layer"]
    assert type(network).__name__ == "Nested"
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    for other in (copy.deepcopy(network), loaded):
        assert isinstance(other, Nested)
        assert outputs_of(other) == outputs_of(network)


def test_a_single_value_in_a_container_is_a_tensor() -> None:
    class One(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"y": x}

    assert isinstance(flattening(One())(A), torch.Tensor)
