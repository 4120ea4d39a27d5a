"""What users read when a converter fails. The errors are the converters' own, on networks of this file."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.exporter import FloatModel
from harness.artifacts.export.registry import EXPORTERS
from harness.artifacts.workers.explain import explain, say
from harness.spec.formats import Backend
from harness.spec.shorthand import parse_recipe
from harness.wire import DType, Format, TensorSpec

# Converters warn of their own libraries.
pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (1, 4, 8, 8)


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x * 2
        return x - 1


class Spectrum(nn.Module):
    def forward(self, x: torch.Tensor) -> object:
        return torch.fft.rfft(x).abs()


class Values(nn.Module):
    def forward(self, x: torch.Tensor) -> object:
        return torch.linalg.svd(x).S


class Histogram(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.histc(x, 8)


class Volume(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = torch.zeros(1, 2, 4, 4, 3) + 0.1
        return functional.grid_sample(x.reshape(1, 2, 8, 4, 4), grid, align_corners=False)


class Leaves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)


class Mask(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        scores: torch.Tensor = self.linear(x)
        return scores * torch.tril(torch.ones(size, size))


def up(kernel: int, padding: int) -> nn.Module:
    """Two layers of the same class: the second cannot be converted to .tflite."""
    return nn.Sequential(nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1), nn.ConvTranspose2d(4, 6, kernel, 2, padding))


def line_of(words: str) -> str:
    """The place of ``words`` in this file, as users read it."""
    lines = Path(__file__).read_text().splitlines()
    number = next(i for i, line in enumerate(lines, start=1) if words in line and "line_of" not in line)
    return f"{Path(__file__).name}:{number} `{lines[number - 1].strip()}`"


def message(network: nn.Module, format_: Format, variant: str, folder: Path) -> str:
    """What the export of ``network`` says, which must fail."""
    inputs = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    source = FloatModel(
        network=network.eval(),
        inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=SHAPE),),
        calibration=lambda _: (inputs,),
        scripted=False,
    )
    backend = Backend.XNNPACK if format_ is Format.PTE else None
    with pytest.raises(Exception) as failed:  # noqa: PT011  converters raise anything
        EXPORTERS[format_](source).export(parse_recipe(variant), backend, folder / f"m.{format_.value}")
    return explain(failed.value)


@pytest.mark.parametrize(
    ("network", "format_", "variant", "tool", "what", "place"),
    [
        (Branch, Format.PTE, "fp32", "torch.export", "by the value of a tensor", "if x.sum() > 0"),
        (Spectrum, Format.PTE, "fp32", "ExecuTorch", "aten.abs .* no complex numbers", "torch.fft.rfft(x)"),
        (Values, Format.PTE, "fp32", "ExecuTorch", "aten._linalg_svd .* no such operator", "torch.linalg.svd(x).S"),
        (Histogram, Format.ONNX, "fp32", "torch's ONNX exporter", "aten.histc .* no such operator", "torch.histc(x"),
        (Volume, Format.TFLITE, "fp32", "LiteRT Torch", "aten.grid_sampler_3d .* no such", "functional.grid_sample(x"),
        (Leaves, Format.PTE, "fp32", "torch.export", "values that leave torch", "torch.from_numpy(x"),
        (Branch, Format.PTL, "int8", "torch.ao's quantiser", "traces the network", "if x.sum() > 0"),
        (Mask, Format.PTL, "int8", "torch.ao's quantiser", "traces the network", "torch.ones(size, size)"),
    ],
)
def test_the_operator_the_line_and_the_remedy_are_given(
    network: Callable[[], nn.Module], format_: Format, variant: str, tool: str, what: str, place: str, tmp_path: Path
) -> None:
    said = message(network(), format_, variant, tmp_path)
    assert said.startswith(f"{tool} cannot ")
    assert line_of(place) in said
    assert re.search(what, said)
    assert "To fix this, " in said
    assert "\n" not in said


def test_a_layer_without_a_line_of_its_own_is_named(tmp_path: Path) -> None:
    """5 - 2 * 1 is not the stride 2, which LiteRT needs. The layer before it, of the same class, has 4 - 2 * 1 = 2."""
    said = message(up(5, 1), Format.TFLITE, "fp32", tmp_path)
    assert said.startswith("LiteRT Torch cannot convert mhlo.convolution of layer 1 (ConvTranspose2d): ")
    assert "set padding=0 and cut as much off the edges of the output, which computes the same" in said


def test_the_remedy_for_a_transposed_convolution_computes_the_same_and_converts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4, 4, 5, stride=2, padding=1).eval()
    whole = nn.ConvTranspose2d(4, 4, 5, stride=2).eval()
    whole.load_state_dict(layer.state_dict())
    x = torch.randn(SHAPE)
    assert torch.allclose(whole(x)[..., 1:-1, 1:-1], layer(x), atol=1e-6)
    inputs = np.zeros((1, *SHAPE), dtype=np.float32)
    source = FloatModel(
        network=whole,
        inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=SHAPE),),
        calibration=lambda _: (inputs,),
        scripted=False,
    )
    EXPORTERS[Format.TFLITE](source).export(parse_recipe("fp32"), None, tmp_path / "m.tflite")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "no memory left"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "another process or thread"),
        (RuntimeError("can't start new thread"), "another process or thread"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 4 bytes"),
            "no memory left",
        ),
        (RuntimeError("std::bad_alloc"), "no memory left"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "no memory left"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files"),
    ],
)
def test_what_the_computer_lacks_is_not_blamed_on_the_network(error: Exception, words: str) -> None:
    for said in (say(error), explain(error)):
        assert words in said
        assert said.endswith("and build again")


def test_the_cause_counts_as_well() -> None:
    error = RuntimeError("the converter failed")
    error.__cause__ = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert "no memory left" in explain(error)


def test_a_disk_whose_files_may_not_be_executed_is_no_lack_of_memory() -> None:
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object: Operation not permitted")
    assert say(error) == f"ImportError: {error}"


@pytest.mark.parametrize("error", [ValueError("my own data is wrong"), FileNotFoundError(errno.ENOENT, "no file")])
def test_the_users_own_errors_stay_as_they_are(error: Exception) -> None:
    assert explain(error).startswith(f"{type(error).__name__}: ")
