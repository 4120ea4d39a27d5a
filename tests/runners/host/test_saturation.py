"""Which processors' int8 kernels saturate, and that ONNX Runtime's option against it does what it says."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.runners.host.runtimes.saturation import PRECISE, saturates

# The decisive words of real processors: Haswell, Cascade Lake, Alder Lake, Zen 2.
FLAGS = {
    "fpu sse4_1 fma avx2": True,
    "fpu sse4_1 avx2 avx512f avx512_vnni": False,
    "fpu sse4_1 avx2 avx_vnni": False,
    "fpu sse4_1 avx avx2 sha_ni": True,
}


@pytest.mark.parametrize("flags", FLAGS)
def test_x86_without_vnni_saturates(flags: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: one\nflags\t\t: {flags}\nbugs\t\t:\n")
    assert saturates("x86_64", cpuinfo) is FLAGS[flags]


def test_arm_does_not_saturate_and_an_unknown_x86_may(tmp_path: Path) -> None:
    assert not saturates("aarch64", tmp_path / "none")
    assert not saturates("arm64", tmp_path / "none")
    assert saturates("AMD64", tmp_path / "none")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the option changes nothing on other processors")
def test_the_option_makes_weights_unsigned_and_changes_no_value(tmp_path: Path) -> None:
    make, kinds = onnx.helper, onnx.TensorProto
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (64, 16)).astype(np.int8)
    constants = [
        onnx.numpy_helper.from_array(weights, "w"),
        onnx.numpy_helper.from_array(np.float32(0.01), "ws"),
        onnx.numpy_helper.from_array(np.int8(0), "wz"),
        onnx.numpy_helper.from_array(np.float32(0.02), "s"),
        onnx.numpy_helper.from_array(np.uint8(0), "z"),
    ]
    nodes = [
        make.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        make.make_node("QLinearMatMul", ["q", "s", "z", "w", "ws", "wz", "s", "z"], ["p"]),
        make.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    ends = [make.make_tensor_value_info(name, kinds.FLOAT, shape) for name, shape in (("x", [1, 64]), ("y", [1, 16]))]
    graph = make.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
    x = rng.random((1, 64), dtype=np.float32) * 5
    exact = np.clip(np.rint(np.clip(np.rint(x / np.float32(0.02)), 0, 255) @ weights.astype(np.int64) * 0.01), 0, 255)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(PRECISE, "1")
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": x})[0] == pytest.approx(exact * np.float32(0.02), abs=0.021)
    loaded = onnx.load(options.optimized_model_filepath).graph.initializer
    assert [t.data_type for t in loaded if list(t.dims) == [64, 16]] == [kinds.UINT8]
