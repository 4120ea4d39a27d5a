"""What is in a file of each precision: types of weights, scales, inputs, and what stays in float."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.jit.mobile import _load_for_lite_interpreter

from harness.artifacts.export.exporter import UnsupportedError
from harness.artifacts.export.layers import kept_layers
from harness.artifacts.export.onnx_quantise import with_matrix_products
from harness.artifacts.export.ptl import INPUT_TYPES_FILE, mobile_optimiser_works
from harness.artifacts.export.registry import EXPORTERS
from harness.errors import BuildError
from harness.runners.host.runtimes.registry import open_session
from harness.spec.formats import Backend
from harness.spec.recipe import KeepFloat
from harness.wire import Delegate, DType, Format, RuntimeRequest
from tests.artifacts.shop import Shop, float_model, heavy_tailed, make_network, read_content, recipe, run_file

pytestmark = pytest.mark.filterwarnings("ignore")

FORMATS = (Format.ONNX, Format.TFLITE, Format.PTL, Format.PTE)
HIDDEN, HEAD, FIRST = (32, 32), (32, 5), (8, 3, 3)
INTEGERS = {Format.ONNX: "int8", Format.TFLITE: "int8", Format.PTL: "qint8", Format.PTE: "char"}
FLOATS = {Format.ONNX: "float", Format.TFLITE: "float32", Format.PTL: "float32", Format.PTE: "float"}


class Convolution(nn.Module):
    """A network without a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)
        return result


class Activation(nn.Module):
    """A network without weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)


class Rectified(nn.Module):
    """Activations as modules, after a convolution and after a linear layer, both of which quantisers fuse with them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(x))
        return scores


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(folder=tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize("format_", FORMATS)
def test_weights_have_a_scale_a_channel(shop: Shop, format_: Format) -> None:
    content = read_content(shop.file(format_, recipe("int8")))
    assert content.weights[HIDDEN] == content.weights[FIRST] == INTEGERS[format_]
    assert (content.scales[FIRST], content.scales[HIDDEN], content.scales[HEAD]) == (8, 32, 5)


@pytest.mark.parametrize("format_", FORMATS)
def test_weights_per_tensor_have_one_scale(shop: Shop, format_: Format) -> None:
    content = read_content(shop.file(format_, recipe("int8-tensor")))
    assert content.weights[FIRST] == INTEGERS[format_]
    assert {content.scales[FIRST], content.scales[HIDDEN], content.scales[HEAD]} == {1}


@pytest.mark.parametrize("format_", FORMATS)
def test_kept_layers_stay_in_float_and_help(shop: Shop, format_: Format) -> None:
    plain, mixed = shop.file(format_, recipe("int8")), shop.file(format_, recipe("int8", "body.0", "body.3", "hidden"))
    content = read_content(mixed)
    assert content.weights[FIRST] == content.weights[HIDDEN] == FLOATS[format_]
    assert content.weights[HEAD] == INTEGERS[format_]
    assert shop.sqnr_db(mixed) > shop.sqnr_db(plain) + 1


@pytest.mark.parametrize("format_", FORMATS)
def test_a_kept_block_keeps_all_in_it(shop: Shop, format_: Format) -> None:
    content = read_content(shop.file(format_, recipe("int8", "body")))
    assert content.weights[FIRST] == content.weights[32, 8] == FLOATS[format_]
    assert content.weights[HIDDEN] == content.weights[HEAD] == INTEGERS[format_]


@pytest.mark.parametrize(
    ("format_", "variant"),
    [
        (Format.ONNX, "int8-dynamic"),
        (Format.ONNX, "int8-weight"),
        (Format.ONNX, "int4-weight"),
        (Format.TFLITE, "int8-dynamic"),
        (Format.TFLITE, "int4-weight"),
        (Format.TFLITE, "int16x8"),
        (Format.PTL, "int8-dynamic"),
    ],
)
def test_layers_are_kept_in_other_precisions_too(shop: Shop, format_: Format, variant: str) -> None:
    content = read_content(shop.file(format_, recipe(variant, "hidden")))
    assert content.weights[HIDDEN] == FLOATS[format_]
    assert content.weights.get(HEAD) != FLOATS[format_]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("hiden", "'hiden', which the network does not have; did you mean 'hidden'?"),
        ("body.9", "did you mean 'body.3'?"),
        ("body.1", "'body.1', which has no weight matrix"),
    ],
)
def test_a_layer_that_cannot_be_kept_is_a_sentence(layer: str, words: str) -> None:
    with pytest.raises(BuildError) as caught:
        kept_layers(recipe("int8", layer), make_network())
    assert words in str(caught.value)


def test_an_exporter_takes_names_alone() -> None:
    with pytest.raises(BuildError, match="asks for a number of sensitive layers"):
        kept_layers(recipe("int8", keep_float=KeepFloat(count=2)), make_network())


@pytest.mark.parametrize("format_", FORMATS)
def test_a_network_that_is_kept_whole_is_not_called_int8(shop: Shop, format_: Format) -> None:
    with pytest.raises(UnsupportedError, match="int8 would change nothing here"):
        shop.file(format_, recipe("int8", "body", "hidden", "head"))


@pytest.mark.parametrize(
    ("format_", "variant", "kind"),
    [
        (Format.ONNX, "int4-weight", "no matrix product to quantise"),
        (Format.ONNX, "int8-weight", "no matrix product to quantise"),
        (Format.ONNX, "int8-dynamic", "no matrix product to quantise"),
        (Format.PTL, "int8-dynamic", "no linear layer"),
        (Format.PTE, "int4-weight", "no linear layer whose inputs are a multiple of 32"),
    ],
)
def test_a_precision_of_linears_is_unsupported_without_one(
    tmp_path: Path, format_: Format, variant: str, kind: str
) -> None:
    exporter = EXPORTERS[format_](float_model(make_network(Convolution), heavy_tailed()))
    with pytest.raises(UnsupportedError, match=f"{variant} would change nothing here: the network has {kind}"):
        exporter.export(recipe(variant), Backend.XNNPACK, tmp_path / f"x.{format_.value}")


def test_weights_in_four_bits_need_weights(tmp_path: Path) -> None:
    exporter = EXPORTERS[Format.TFLITE](float_model(make_network(Activation), heavy_tailed()))
    with pytest.raises(UnsupportedError, match="no layer whose weights LiteRT takes in 4 bits"):
        exporter.export(recipe("int4-weight"), None, tmp_path / "x.tflite")


def test_weights_of_a_tflite_are_four_bits(shop: Shop) -> None:
    path = shop.file(Format.TFLITE, recipe("int4-weight"))
    assert read_content(path).weights[HIDDEN] == "int4"
    assert shop.sqnr_db(path) > 10


def test_weights_of_an_onnx_are_four_bits_in_groups(shop: Shop) -> None:
    path = shop.file(Format.ONNX, recipe("int4-weight"))
    nodes = [node for node in onnx.load(str(path)).graph.node if node.op_type == "MatMulNBits"]
    attributes = [{a.name: a.i for a in node.attribute} for node in nodes]
    assert [(a["bits"], a["block_size"], a["K"], a["N"]) for a in attributes] == [(4, 32, 32, 32), (4, 32, 32, 5)]
    assert shop.sqnr_db(path) > 10


def test_weights_of_a_pte_are_four_bits_on_xnnpack(shop: Shop) -> None:
    # The delegate's data cannot be read, but 1,184 weights of half a byte each must show in the size.
    plain = shop.file(Format.PTE, recipe("fp32"), Backend.XNNPACK)
    four = shop.file(Format.PTE, recipe("int4-weight"), Backend.XNNPACK)
    assert 10 < shop.sqnr_db(four) < 60
    assert four.stat().st_size < plain.stat().st_size - 1024


@pytest.mark.parametrize(
    ("format_", "layers"), [(Format.TFLITE, (FIRST, HIDDEN, HEAD)), (Format.ONNX, ((32, 1, 32), (5, 1, 32)))]
)
def test_weights_alone_are_eight_bits(shop: Shop, format_: Format, layers: tuple[tuple[int, ...], ...]) -> None:
    path = shop.file(format_, recipe("int8-weight"))
    content = read_content(path)
    assert content.input_range is None
    assert {content.weights[tuple(sorted((n for n in s if n != 1), reverse=True))] for s in layers} <= {"int8", "uint8"}
    assert shop.sqnr_db(path) > 30


def test_sixteen_bit_activations_are_closer_than_eight(shop: Shop) -> None:
    path = shop.file(Format.TFLITE, recipe("int16x8"))
    content = read_content(path)
    assert content.weights[HIDDEN] == "int8"
    assert content.input_range is not None
    assert shop.sqnr_db(path) != shop.sqnr_db(shop.file(Format.TFLITE, recipe("int8")))


@pytest.mark.parametrize(("format_", "kind"), [(Format.ONNX, "float16"), (Format.PTL, "float16"), (Format.PTE, "half")])
def test_float16_inside_and_outside(shop: Shop, format_: Format, kind: str) -> None:
    whole, inside = shop.file(format_, recipe("fp16-whole")), shop.file(format_, recipe("fp16"))
    assert read_content(whole).weights[HIDDEN] == kind
    assert whole.read_bytes() != inside.read_bytes()
    assert min(shop.sqnr_db(whole), shop.sqnr_db(inside)) > 40
    if format_ is not Format.PTL:
        assert [input_type(whole), input_type(inside)] == [DType.FLOAT16, DType.FLOAT32]


def input_type(path: Path) -> DType:
    session = open_session(path, RuntimeRequest(delegate=Delegate.CPU, threads=1), Format(path.suffix[1:]))
    (spec,) = session.inputs() or ()
    session.close()
    return spec.dtype


@pytest.mark.parametrize(("format_", "kind"), [(Format.PTL, "bfloat16"), (Format.PTE, "bfloat16")])
def test_bfloat16_inside(shop: Shop, format_: Format, kind: str) -> None:
    path = shop.file(format_, recipe("bf16"))
    assert read_content(path).weights[HIDDEN] == kind
    assert 25 < shop.sqnr_db(path) < 60


@pytest.mark.parametrize(("variant", "kind"), [("fp32", "float32"), ("fp16-whole", "float16"), ("bf16", "float32")])
def test_a_ptl_tells_the_types_of_its_inputs(shop: Shop, variant: str, kind: str) -> None:
    with zipfile.ZipFile(shop.file(Format.PTL, recipe(variant))) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(f"/extra/{INPUT_TYPES_FILE}")]
        assert json.loads(archive.read(name)) == [kind]


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_the_full_runtime_loads_a_ptl_too(shop: Shop, variant: str) -> None:
    path = shop.file(Format.PTL, recipe(variant))
    full, x = torch.jit.load(str(path)), torch.from_numpy(shop.inputs[0])
    lite = _load_for_lite_interpreter(str(path))
    np.testing.assert_array_equal(full(x).numpy(), lite(x).numpy())


@pytest.mark.parametrize("format_", FORMATS)
def test_activations_are_fused_with_convolutions_and_linears_alike(tmp_path: Path, format_: Format) -> None:
    network, inputs = make_network(Rectified), heavy_tailed()
    backend = Backend.PORTABLE if format_ is Format.PTE else None
    path = tmp_path / f"x.{format_.value}"
    EXPORTERS[format_](float_model(network, inputs)).export(recipe("int8"), backend, path)
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    error = np.stack(list(run_file(path, inputs))) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 15


def test_the_mobile_optimiser_is_used_only_where_it_works() -> None:
    from torch.utils.mobile_optimizer import optimize_for_mobile

    traced = torch.jit.trace(nn.Conv2d(1, 1, 1).eval(), torch.zeros(1, 1, 1, 1))
    if mobile_optimiser_works():
        assert optimize_for_mobile(traced) is not None
    else:
        with pytest.raises(RuntimeError, match="XNNPACK"):
            optimize_for_mobile(traced)


def test_a_gemm_as_a_product_and_a_sum_gives_the_same(shop: Shop) -> None:
    import onnxruntime

    model = onnx.load(str(shop.file(Format.ONNX, recipe("fp32"))))
    before = model.SerializeToString()
    after = with_matrix_products(model)
    assert [n.op_type for n in after.graph.node].count("MatMul") == 2
    assert not any(n.op_type == "Gemm" for n in after.graph.node)
    results = [
        onnxruntime.InferenceSession(m, providers=["CPUExecutionProvider"]).run(None, {"x": shop.inputs[0]})[0]
        for m in (before, after.SerializeToString())
    ]
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)
