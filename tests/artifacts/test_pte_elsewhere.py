"""Programs for Vulkan and Core ML: built here, read back, and distinguished from programs that were run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.verify.inspect import check_unrun
from harness.spec.formats import Backend
from harness.wire import Format
from tests.artifacts.tiny import IMAGE_NETWORK, Bench, image_card

pytestmark = pytest.mark.filterwarnings("ignore")

VIT = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, picture):
        return self.block(picture.flatten(1)[:, :64].reshape(1, 8, 8)).mean(1)

def build():
    torch.manual_seed(0)
    return Net()
"""
# The partitioner has no entry for sorting.
SORT = """\
import torch
from torch import nn

class Net(nn.Module):
    def forward(self, picture):
        return torch.sort(picture)[0]

def build():
    return Net()
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("elsewhere"))


def built(bench: Bench, backend: Backend, variant: str) -> Manifest:
    """The manifest of a program that must be unverified, with everything in one delegate."""
    manifest = bench.make(image_card(bench.cache.root), variant, backend=backend)
    assert (manifest.state, manifest.reason) == (ArtifactState.UNVERIFIED, None)
    name = {Backend.VULKAN: "VulkanBackend", Backend.COREML: "CoreMLBackend"}[backend]
    assert manifest.checked == f"1 delegate of {name}, 0 operators not delegated"
    assert (manifest.sqnr_db, manifest.gate_inputs) == (None, 0)
    return manifest


def test_vulkan_precisions_are_different_programs(bench: Bench) -> None:
    digests = {built(bench, Backend.VULKAN, v).sha256 for v in ("fp32", "fp16", "int8", "int8-weight")}
    assert len(digests) == 4
    assert b"et_vk.conv_with_clamp" in bench.path(built(bench, Backend.VULKAN, "fp32")).read_bytes()
    assert b"q8ta_conv2d" in bench.path(built(bench, Backend.VULKAN, "int8")).read_bytes()


def test_core_ml_precisions_are_different_programs(bench: Bench) -> None:
    fp32, fp16 = (bench.path(built(bench, Backend.COREML, v)).read_bytes() for v in ("fp32", "fp16"))
    assert len(fp16) != len(fp32)
    assert (b"to_fp16" in fp32, b"to_fp16" in fp16) == (False, True)


@pytest.mark.slow
def test_static_int8_for_core_ml_quantises_activations(bench: Bench) -> None:
    content = bench.path(built(bench, Backend.COREML, "int8")).read_bytes()
    assert b"constexpr_affine_dequantize" in content
    assert b"quantize_per_tensor" in content


def test_core_ml_needs_no_tensorflow_and_does_not_shut_it_out(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.artifacts.export.coreml import import_coremltools; import_coremltools(); "
        "import importlib.util; print('tensorflow' in sys.modules, importlib.util.find_spec('tensorflow') is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("network", "variant", "words"),
    [
        (VIT, "fp32", "the backend's serialiser flatc refuses this network (exit 1)"),
        (SORT, "fp32", "the vulkan partitioner took none of the"),
        (IMAGE_NETWORK.replace("self.head(", "(").replace("self.head =", "self.unused ="), "int8-weight", "has none"),
    ],
)
def test_what_vulkan_does_not_take_has_a_reason(tmp_path: Path, network: str, variant: str, words: str) -> None:
    manifest = Bench(tmp_path).make(image_card(tmp_path, network), variant, backend=Backend.VULKAN)
    assert manifest.state is ArtifactState.UNSUPPORTED
    assert words in (manifest.reason or "")


def test_a_cut_off_program_is_broken(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "cut.pte"
    path.write_bytes(bench.path(built(bench, Backend.VULKAN, "fp32")).read_bytes()[:200])
    assert check_unrun(path, Format.PTE, Backend.VULKAN).state is ArtifactState.BROKEN


def test_a_program_for_another_backend_is_not_taken_for_this_one(bench: Bench) -> None:
    path = bench.path(built(bench, Backend.VULKAN, "fp32"))
    assert check_unrun(path, Format.PTE, Backend.COREML).state is not ArtifactState.UNVERIFIED
