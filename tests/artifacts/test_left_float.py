"""Layers that static int8 leaves in float are named with the reason, and the files are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.left_float import LeftFloat, listed
from harness.artifacts.export.registry import EXPORTERS
from harness.artifacts.manifest import ArtifactState
from harness.artifacts.workers.earned import earned
from harness.records.artifact import FileTypes
from harness.records.conditions import ConditionId
from harness.runners.host.runtimes.registry import open_session, run_once
from harness.spec.formats import FORMATS, Backend
from harness.spec.shorthand import parse_recipe
from harness.wire import Delegate, Format, RuntimeRequest
from tests.artifacts.builders import FACTS, make_manifest
from tests.artifacts.shop import float_model, make_network, read_content, recipe
from tests.artifacts.tiny import IMAGE_NETWORK, Bench, image_card

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (1, 3, 24)


class Rows(nn.Module):
    """Layers over one dimension; the transposed one has groups."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.same = nn.Conv1d(3, 16, 3), nn.Conv1d(16, 16, 3, padding="same", groups=2)
        self.up = nn.ConvTranspose1d(16, 8, 3, stride=2, padding=1, output_padding=1, dilation=2, groups=2, bias=False)
        self.last = nn.Conv1d(8, 4, 3, stride=2, dilation=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.same(torch.relu(self.first(x))))
        z: torch.Tensor = self.last(torch.relu(self.up(y)))
        return z


class Mixed(nn.Module):
    """A linear layer before layers that quantisers leave alone."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.act = nn.Linear(24, 16), nn.PReLU()
        self.body = nn.ModuleList([nn.LSTM(16, 16, batch_first=True), nn.Bilinear(16, 16, 8)])
        self.square = nn.Parameter(torch.randn(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.body[0](self.act(self.front(x)))
        z: torch.Tensor = torch.einsum("bti,oi->bto", self.body[1](y, y), self.square)
        return z


class Cube(nn.Module):
    """A convolution over three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.deep = nn.Conv1d(3, 4, 3, padding=1), nn.Conv3d(1, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.deep(self.flat(x).reshape(1, 1, 4, 4, 6))
        return y


class Padded(nn.Module):
    """Zeros around a quantised result."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(self.first(x).unsqueeze(2), (1, 1, 1, 1))


class Functions(nn.Module):
    """Convolutions as functions, without some of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.randn(*shape)) for shape in ((8, 3, 3), (8, 8, 3, 3), (8,)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(functional.conv1d(x, self.a, padding=1)).reshape(1, 8, 4, 6)
        return functional.conv2d(y, self.b, self.c, stride=2)


def exported(
    kind: Callable[[], nn.Module], format_: Format, folder: Path, *kept: str
) -> tuple[float, tuple[LeftFloat, ...], Path]:
    """The SQNR of the int8 file in the format's own runtime, what it left in float, and the file."""
    torch.manual_seed(0)
    network = kind().eval()
    inputs = np.random.default_rng(0).standard_normal((8, *SHAPE)).astype(np.float32)
    path = folder / f"model.{format_.value}"
    backend = Backend.XNNPACK if format_ is Format.PTE else None
    exporter = EXPORTERS[format_](float_model(network, inputs))
    exporter.export(recipe("int8", *kept), backend, path)
    delegate = Delegate.XNNPACK if backend else Delegate.CPU
    session = open_session(path, RuntimeRequest(delegate=delegate, threads=1), format_)
    outputs = np.stack([run_once(session, [x])[0] for x in inputs])
    session.close()
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    sqnr_db = float(10 * np.log10((expected**2).sum() / ((outputs - expected) ** 2).sum()))
    left: tuple[LeftFloat, ...] = getattr(exporter, "left_float")  # noqa: B009  not every exporter has it
    return sqnr_db, left, path


@pytest.mark.parametrize("format_", [Format.ONNX, Format.PTL, Format.PTE])
def test_a_transposed_convolution_with_groups_is_named(format_: Format, tmp_path: Path) -> None:
    sqnr_db, left, path = exported(Rows, format_, tmp_path)
    assert [(each.layer, each.kind) for each in left] == [("up", "ConvTranspose1d with 2 groups")]
    assert "transposed convolutions with groups" in left[0].reason
    assert sqnr_db > 35
    if format_ is Format.ONNX:
        assert read_content(path).weights[(16, 4, 3)] == "float"


@pytest.mark.parametrize("kept", [("first", "last"), ("same",), ("up",)])
def test_rows_in_float_between_quantised_ones_are_right_on_xnnpack(kept: tuple[str, ...], tmp_path: Path) -> None:
    sqnr_db, left, _ = exported(Rows, Format.PTE, tmp_path, *kept)
    assert sqnr_db > 40
    # What the recipe itself keeps in float needs no reason.
    assert [each.layer for each in left] == ([] if "up" in kept else ["up"])


@pytest.mark.parametrize(
    ("format_", "layers"),
    [
        (Format.ONNX, {"body.0": "takes no recurrent layers"}),
        (
            Format.PTL,
            {
                "act": "computes wrong values",
                "body.0": "takes no recurrent layers",
                "body.1": "does not take this kind of layer",
                "": "does not take this kind of layer",
            },
        ),
    ],
)
def test_each_layer_has_its_reason(format_: Format, layers: dict[str, str], tmp_path: Path) -> None:
    sqnr_db, left, _ = exported(Mixed, format_, tmp_path)
    reasons = {each.layer: each.reason for each in left}
    assert all(words in reasons[layer] for layer, words in layers.items())
    assert "front" not in reasons
    assert sqnr_db > 30


@pytest.mark.parametrize("format_", [Format.PTL, Format.TFLITE])
def test_a_convolution_over_three_dimensions_is_named(format_: Format, tmp_path: Path) -> None:
    sqnr_db, left, _ = exported(Cube, format_, tmp_path)
    assert [(each.layer, each.kind) for each in left] == [("deep", "Conv3d")]
    assert sqnr_db > 30


def test_zeros_around_a_quantised_result_load_on_xnnpack(tmp_path: Path) -> None:
    assert exported(Padded, Format.PTE, tmp_path)[0] > 35


def test_convolutions_as_functions_are_quantised(tmp_path: Path) -> None:
    sqnr_db, left, _ = exported(Functions, Format.PTL, tmp_path)
    assert sqnr_db > 30
    assert left == ()


class Even(nn.Module):
    """Convolutions whose padding is a word; that of the even kernel is not the same on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.valid, self.even = nn.Conv1d(3, 8, 3, padding="valid"), nn.Conv1d(8, 8, 4, padding="same")
        self.wide = nn.Conv2d(8, 4, (1, 5), padding="same", dilation=(1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.wide(torch.relu(self.even(self.valid(x))).unsqueeze(2))
        return y


def test_paddings_that_are_words_are_right_in_ptl(tmp_path: Path) -> None:
    sqnr_db, left, _ = exported(Even, Format.PTL, tmp_path)
    assert [each.layer for each in left] == ["even"]
    assert sqnr_db > 35


def test_a_float_file_leaves_nothing_to_explain(tmp_path: Path) -> None:
    inputs = np.zeros((1, *SHAPE), np.float32)
    exporter = EXPORTERS[Format.ONNX](float_model(make_network(Rows), inputs))
    for variant in ("int8", "fp32"):
        exporter.export(parse_recipe(variant), None, tmp_path / "model.onnx")
    assert getattr(exporter, "left_float") == ()  # noqa: B009  not every exporter has it


GROUPED = LeftFloat(layer="up", kind="ConvTranspose2d with 2 groups", reason="no")


@pytest.mark.parametrize(
    ("stored", "parameters"), [({"int8": 9_500, "float32": 500}, 10_000), ({"int8": 9, "float32": 1}, 10)]
)
def test_the_layers_are_a_condition_whatever_their_share(stored: dict[str, int], parameters: int) -> None:
    manifest = make_manifest(
        variant="int8", recipe=parse_recipe("int8"), types=FileTypes(weights=stored), bytes=1_000, parameters=parameters
    )
    assert earned(manifest, FACTS).conditions == ()
    (condition,) = earned(manifest, FACTS, (GROUPED,)).conditions
    assert condition.id is ConditionId.PARTLY_QUANTISED
    share = "95" if parameters > 10 else "90"
    assert condition.summary.startswith(
        f"{share} % of the weights are in eight-bit integers, the others in float: up ("
    )
    assert condition.detail == "up: ConvTranspose2d with 2 groups: no"


def test_a_refused_name_has_the_reason_of_the_quantiser() -> None:
    manifest = make_manifest(
        variant="int8",
        recipe=parse_recipe("int8"),
        types=FileTypes(weights={"int8": 10, "float32": 9_990}),
        bytes=39_000,
        parameters=10_000,
    )
    refused = earned(manifest, FACTS, (GROUPED,))
    assert refused.state is ArtifactState.UNSUPPORTED
    assert refused.reason == (
        "only under 1 % of the weights in the file are in eight-bit integers: up (ConvTranspose2d with 2 groups): no"
    )


def test_many_layers_with_one_reason_are_listed_in_short() -> None:
    layers = [replace(GROUPED, layer=f"up.{number}") for number in range(40)]
    assert listed(layers) == (
        "up.0 (ConvTranspose2d with 2 groups), up.1 (ConvTranspose2d with 2 groups), up.2 (ConvTranspose2d with 2 "
        "groups) and 37 more: no"
    )
    assert listed([GROUPED, LeftFloat(layer="", kind="einsum", reason="why")]) == (
        "up (ConvTranspose2d with 2 groups): no; einsum: why"
    )


def test_the_condition_is_in_the_record_of_the_file(tmp_path: Path) -> None:
    network = IMAGE_NETWORK.replace(
        "nn.Conv2d(3, 64, 3)", "nn.Conv2d(3, 64, 3), nn.ConvTranspose2d(64, 64, 2, groups=64)"
    )
    manifest = Bench(tmp_path).make(image_card(tmp_path, network), "int8", Format.ONNX)
    assert manifest.state is ArtifactState.READY
    assert ["body.1 (ConvTranspose2d with 64 groups)" in c.summary for c in manifest.conditions if c.detail] == [True]
    assert FORMATS[Format.ONNX].revision > 5


class Up(nn.Module):
    """A linear layer after a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.head = nn.ConvTranspose2d(4, 8, 3, stride=2), nn.Linear(17, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.up(x))
        return output


def test_dynamic_int8_of_tflite_has_only_what_runtimes_of_phones_compute_right(tmp_path: Path) -> None:
    """Older kernels ignore the scales of channels where inputs have no zero point; 2.16 refuses the other layer."""
    from ai_edge_litert import schema_py_generated as schema

    path = tmp_path / "model.tflite"
    exporter = EXPORTERS[Format.TFLITE](float_model(Up().eval(), np.zeros((1, 1, 4, 8, 8), np.float32)))
    exporter.export(parse_recipe("int8-dynamic"), None, path)
    left: tuple[LeftFloat, ...] = getattr(exporter, "left_float")  # noqa: B009  not every exporter has it
    assert [(each.layer, each.kind) for each in left] == [("up", "ConvTranspose2d")]
    assert "up to 2.16" in left[0].reason
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    codes = [content.operatorCodes[each.opcodeIndex].builtinCode for each in content.subgraphs[0].operators]
    dense = content.subgraphs[0].operators[codes.index(schema.BuiltinOperator.FULLY_CONNECTED)]
    assert content.subgraphs[0].tensors[dense.inputs[1]].type == schema.TensorType.INT8
    assert dense.builtinOptions.asymmetricQuantizeInputs is True
