"""Files of other tools in their runtimes: scalars, order of inputs, and values that are no numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.runtimes.registry import open_session, run_once
from harness.runners.host.runtimes.session import SessionError, in_model_order
from harness.wire import Delegate, DType, FailureKind, Format, RuntimeRequest, TensorSpec
from tests.readers.tflite_files import tflite_file

CPU = RuntimeRequest(delegate=Delegate.CPU, threads=1)
onnx: Any = pytest.importorskip("onnx")
make = onnx.helper
FLOAT, INT64, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING


def info(name: str, kind: int, shape: list[int]) -> Any:
    return make.make_tensor_value_info(name, kind, shape)


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Path:
    opset = [make.make_opsetid("", 17), make.make_opsetid("ai.onnx.ml", 3)]
    model = make.make_model(make.make_graph(nodes, "net", inputs, outputs), opset_imports=opset, ir_version=9)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def vad(tmp_path: Path) -> Path:
    """The inputs and outputs of silero-vad: samples, a state that is passed on, and the sampling rate, a scalar."""
    nodes = [
        make.make_node("Cast", ["sr"], ["rate"], to=FLOAT),
        make.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=1),
        make.make_node("Mul", ["mean", "rate"], ["output"]),
        make.make_node("Add", ["state", "rate"], ["stateN"]),
        make.make_node("Neg", ["sr"], ["negative"]),
    ]
    inputs = [info("input", FLOAT, [1, 512]), info("state", FLOAT, [2, 1, 128]), info("sr", INT64, [])]
    outputs = [info("output", FLOAT, [1, 1]), info("stateN", FLOAT, [2, 1, 128]), info("negative", INT64, [])]
    return save(tmp_path / "vad.onnx", nodes, inputs, outputs)


@pytest.mark.parametrize("rate", [np.array(16000), np.int64(16000)])
def test_a_scalar_goes_in_and_out_of_onnx(vad: Path, rate: Any) -> None:
    import onnxruntime

    rng = np.random.default_rng(0)
    samples = rng.standard_normal((1, 512), dtype=np.float32)
    state = rng.standard_normal((2, 1, 128), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(vad)).run(
        None, {"input": samples, "state": state, "sr": np.array(16000)}
    )
    session = open_session(vad, CPU, Format.ONNX)
    assert session.inputs()[2] == TensorSpec(name="sr", dtype=DType.INT64, shape=())  # type: ignore[index]
    got = run_once(session, [samples, state, rate])
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert got[2].shape == ()


def test_inputs_are_matched_by_name(vad: Path) -> None:
    session = open_session(vad, CPU, Format.ONNX)
    arrays = [np.array(2), np.zeros((1, 512), np.float32), np.ones((2, 1, 128), np.float32)]
    ordered = in_model_order(session, ["sr", "input", "state"], arrays)
    assert [array.shape for array in ordered] == [(1, 512), (2, 1, 128), ()]
    assert [array.shape for array in in_model_order(session, ["a", "b", "c"], arrays)] == [(), (1, 512), (2, 1, 128)]


@pytest.mark.parametrize("kind", [onnx.TensorProto.UINT32, onnx.TensorProto.UINT16, onnx.TensorProto.UINT64])
def test_unsigned_integers_are_integers_on_the_wire(tmp_path: Path, kind: int) -> None:
    path = save(
        tmp_path / "net.onnx", [make.make_node("Cast", ["x"], ["y"], to=FLOAT)], [info("x", kind, [2])],
        [info("y", FLOAT, [2])],
    )  # fmt: skip
    session = open_session(path, CPU, Format.ONNX)
    assert session.inputs() == (TensorSpec(name="x", dtype=DType.INT64, shape=(2,)),)
    assert run_once(session, [np.array([1, 65535])])[0].tolist() == [1.0, 65535.0]


def classifier(path: Path, *, zipmap: bool) -> Path:
    """A classifier as scikit-learn's converter writes it: labels, and probabilities by label."""
    nodes = [
        make.make_node(
            "LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", coefficients=[1.0, -1.0],
            intercepts=[0.0, 0.0], classlabels_strings=["cat", "dog"], post_transform="NONE",
        )
    ]  # fmt: skip
    probabilities = info("p", FLOAT, [1, 2])
    if zipmap:
        nodes.append(make.make_node("ZipMap", ["p"], ["by_label"], domain="ai.onnx.ml", classlabels_strings=["a", "b"]))
        probabilities = make.make_value_info(
            "by_label",
            make.make_sequence_type_proto(make.make_map_type_proto(STRING, make.make_tensor_type_proto(FLOAT, []))),
        )
    return save(path, nodes, [info("x", FLOAT, [1, 1])], [info("label", STRING, [1]), probabilities])


def strings_in(path: Path) -> Path:
    return save(path, [make.make_node("Identity", ["x"], ["y"])], [info("x", STRING, [1])], [info("y", STRING, [1])])


def halves(path: Path) -> Path:
    kind = onnx.TensorProto.BFLOAT16
    return save(path, [make.make_node("Cast", ["x"], ["y"], to=kind)], [info("x", FLOAT, [1])], [info("y", kind, [1])])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: classifier(path, zipmap=False), "output 'label' of the model is tensor\\(string\\)"),
        (lambda path: classifier(path, zipmap=True), "output 'label' of the model is tensor\\(string\\)"),
        (strings_in, "input 'x' of the model is tensor\\(string\\)"),
        (halves, "output 'y' of the model is tensor\\(bfloat16\\)"),
    ],
)
def test_values_that_are_no_numbers_are_refused_by_name_before_any_call(tmp_path: Path, write: Any, words: str) -> None:
    with pytest.raises(SessionError, match=words) as raised:
        open_session(write(tmp_path / "net.onnx"), CPU, Format.ONNX)
    assert raised.value.unsupported
    assert raised.value.kind is FailureKind.LOAD


def test_a_ptl_that_returns_text_is_refused(tmp_path: Path) -> None:
    import warnings

    torch: Any = pytest.importorskip("torch")

    class Net(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
            return x, "text"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Net())._save_for_lite_interpreter(str(tmp_path / "net.ptl"))
    session = open_session(tmp_path / "net.ptl", CPU, Format.PTL)
    with pytest.raises(SessionError, match="an output of the model is a str") as raised:
        run_once(session, [np.zeros(2, np.float32)])
    assert raised.value.unsupported


@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
@pytest.mark.parametrize(
    ("shape", "signature", "value"),
    [
        ([], None, np.array(-1.5, np.float32)),
        ([1, 1, 3], [1, -1, 3], -np.ones((1, 4, 3), np.float32)),
        ([1, 2], None, np.array([[-1, 2]], np.float32)),
    ],
)
def test_scalars_and_open_sizes_run_as_tflite(
    tmp_path: Path, delegate: Delegate, shape: list[int], signature: list[int] | None, value: Any
) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_file("FLOAT32", shape, signature))
    session = open_session(tmp_path / "net.tflite", RuntimeRequest(delegate=delegate, threads=1), Format.TFLITE)
    (output,) = run_once(session, [value])
    np.testing.assert_array_equal(output, np.abs(value), strict=True)


@pytest.mark.parametrize(("kind", "words"), [("STRING", "strings"), ("VARIANT", "no number"), ("COMPLEX64", "complex")])
def test_tflite_values_that_are_no_numbers_are_refused_by_name(tmp_path: Path, kind: str, words: str) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_file(kind, [2]))
    with pytest.raises(SessionError, match=f"input 'x' of the model is {words}") as raised:
        open_session(tmp_path / "net.tflite", CPU, Format.TFLITE)
    assert raised.value.unsupported


def test_a_pte_of_open_sizes_takes_smaller_inputs_and_no_larger_ones(tmp_path: Path) -> None:
    import warnings

    torch: Any = pytest.importorskip("torch")
    pytest.importorskip("executorch.exir")
    from executorch.exir import to_edge_transform_and_lower

    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3).eval()
    rows = torch.export.Dim("rows", min=2, max=16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(layer, (torch.zeros(8, 4),), dynamic_shapes=({0: rows},))
        (tmp_path / "net.pte").write_bytes(to_edge_transform_and_lower(program).to_executorch().buffer)
    session = open_session(tmp_path / "net.pte", CPU, Format.PTE)
    for count in (16, 5):
        x = torch.randn(count, 4)
        np.testing.assert_allclose(run_once(session, [x.numpy()])[0], layer(x).detach().numpy(), atol=1e-5)
    with pytest.raises(SessionError, match=r"float32 \[16, 4\], but got float32 \[17, 4\]"):
        session.set_inputs([np.zeros((17, 4), np.float32)])
    session.close()
