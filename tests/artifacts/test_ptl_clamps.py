"""Clamps in static int8 ``.ptl``, with each engine that computes them here: QNNPACK's own clamp is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.ptl import PtlExporter
from harness.runners.host.runtimes.saturation import saturates
from harness.wire.tensors import Array
from tests.artifacts.shop import float_model, make_network, recipe

pytestmark = pytest.mark.filterwarnings("ignore")

INPUTS: Array = (np.random.default_rng(0).standard_normal((12, 1, 3, 12, 12)) * 3).astype(np.float32)


class Layers(nn.Module):
    """What the bodies below are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)
        self.side, self.norm, self.pool = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.MaxPool2d(2)
        self.relu, self.relu6, self.tight = nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 0.5)
        self.swish, self.sigmoid, self.identity = nn.Hardswish(), nn.Hardsigmoid(), nn.Identity()


Body = Callable[[Layers, torch.Tensor], torch.Tensor]

# Clamps that become the range of the layer before them.
ABSORBED: dict[str, Body] = {
    "ReLU6": lambda s, x: s.last(s.relu6(s.first(x))),
    "after a batch norm": lambda s, x: s.last(s.relu6(s.norm(s.first(x)))),
    "relu6": lambda s, x: s.last(functional.relu6(s.first(x))),
    "clamp": lambda s, x: s.last(s.first(x).clamp(-0.5, 0.5)),
    "clamp by name": lambda s, x: s.last(torch.clamp(s.first(x), max=0.5, min=0)),
    "clamp from below": lambda s, x: s.last(torch.clamp(s.first(x), min=0)),
    "Hardtanh": lambda s, x: s.last(s.tight(s.first(x))),
    "hardtanh": lambda s, x: s.last(functional.hardtanh(s.first(x))),
    "one module twice": lambda s, x: s.last(s.relu6(s.second(s.relu6(s.first(x))))),
    "after a sum": lambda s, x: s.last(s.relu6(s.first(x) + s.side(x))),
    "before a pool": lambda s, x: s.last(s.pool(s.relu6(s.first(x)))),
    "of the input": lambda s, x: s.last(s.first(s.relu6(x))),
    "of the output": lambda s, x: s.relu6(s.first(x)),
}
# Clamps of values whose range something else needs, which are computed in float.
IN_FLOAT: dict[str, Body] = {
    "without zero": lambda s, x: s.last(s.first(x).clamp(0.3, 1.0)),
    "of values read twice": lambda s, x: (lambda y: s.last(s.relu6(y) + y))(s.first(x)),
    "after a pool": lambda s, x: s.last(s.relu6(s.pool(s.first(x)))),
    "beside others": lambda s, x: torch.cat([s.relu6(s.first(x)), s.side(x)], 1),
}
# Relatives that QNNPACK computes as they should be.
RIGHT: dict[str, Body] = {
    "Hardswish": lambda s, x: s.last(s.swish(s.first(x))),
    "Hardsigmoid": lambda s, x: s.last(s.sigmoid(s.first(x))),
    "hardswish of its parts": lambda s, x: (lambda y: s.last(y * functional.relu6(y + 3) / 6))(s.first(x)),
    "a layer twice": lambda s, x: s.last(s.second(s.second(s.first(x)) * 5)),
    "a layer twice, clamped once": lambda s, x: s.last(s.relu6(s.first(x)) + s.first(-x)),
}


# Ways to write a ReLU after a layer.
RELUS: dict[str, Body] = {
    "ReLU": lambda s, x: s.last(s.relu(s.first(x))),
    "relu": lambda s, x: s.last(functional.relu(s.first(x))),
    "torch.relu": lambda s, x: s.last(torch.relu(s.first(x))),
    "relu by name": lambda s, x: s.last(s.first(x).relu()),
    "after an identity": lambda s, x: s.last(s.relu(s.identity(s.first(x)))),
}


class Net(Layers):
    """Layers in the order of a body."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self, x)


@pytest.fixture(autouse=True)
def restored_engine() -> Iterator[None]:
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = before


def exported(body: Body, folder: Path) -> tuple[nn.Module, Path]:
    network = make_network(lambda: Net(body))  # type: ignore[arg-type]  # a function that makes a network
    folder.mkdir(exist_ok=True)
    path = folder / "model.ptl"
    PtlExporter(float_model(network, INPUTS)).export(recipe("int8-minmax"), None, path)
    return network, path


def sqnr_db(network: nn.Module, path: Path, engine: str) -> float:
    torch.backends.quantized.engine = engine
    module = torch.jit.load(str(path))
    tensors = [torch.from_numpy(x) for x in INPUTS]
    with torch.no_grad():
        expected = np.stack([network(x).numpy() for x in tensors])
        error = np.stack([module(x).numpy() for x in tensors]) - expected
    return float(10 * np.log10((expected**2).sum() / (error**2).sum()))


BODIES = ABSORBED | IN_FLOAT | RIGHT
# oneDNN's kernels saturate on x86 without VNNI, so there they cannot confirm a file with eight-bit weights.
ENGINES = ["qnnpack"] if saturates() else ["qnnpack", "onednn"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", BODIES)
def test_a_clamp_is_right_with_every_engine(name: str, engine: str, tmp_path: Path) -> None:
    network, path = exported(BODIES[name], tmp_path)
    assert sqnr_db(network, path, engine) > 25


def kernels(path: Path) -> list[str]:
    return [node.kind() for node in torch.jit.load(str(path)).inlined_graph.nodes()]


@pytest.mark.parametrize("name", ABSORBED)
def test_a_clamp_costs_nothing_after_a_layer(name: str, tmp_path: Path) -> None:
    _, path = exported(ABSORBED[name], tmp_path)
    assert not [kind for kind in kernels(path) if "clamp" in kind or "hardtanh" in kind or "relu6" in kind]
    # Quantised once at the start, dequantised once at the end.
    assert kernels(path).count("aten::quantize_per_tensor") == kernels(path).count("aten::dequantize") == 1


@pytest.mark.parametrize("name", RELUS)
def test_a_relu_and_the_layer_before_it_have_one_range(name: str, tmp_path: Path) -> None:
    network, path = exported(RELUS[name], tmp_path)
    with_module, reference = exported(RELUS["ReLU"], tmp_path / "reference")
    assert "aten::relu" not in kernels(path)
    assert sqnr_db(network, path, "qnnpack") == pytest.approx(sqnr_db(with_module, reference, "qnnpack"), abs=0.1)


def test_the_clamp_that_all_this_is_about_is_still_wrong_in_this_torch() -> None:
    """If this fails, torch has been mended, and `harness.artifacts.export.ptl_clamps` may go."""
    torch.backends.quantized.engine = "qnnpack"
    images = torch.linspace(-20, 20, 120).reshape(1, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    values = torch.quantize_per_tensor(images, 40 / 255, 128, torch.quint8)
    clamped = torch.clamp(values, 0.0, 6.0).dequantize()
    assert not torch.allclose(clamped, values.dequantize().clamp(0, 6), atol=0.2)
