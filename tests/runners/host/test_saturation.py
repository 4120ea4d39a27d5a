"""Which processors' int8 kernels saturate, and that ONNX Runtime's option against it does what it says."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.runners.host.runtimes import onnx as onnx_runtime
from harness.runners.host.runtimes.saturation import PRECISE, saturates
from harness.wire import Delegate, RuntimeRequest
from harness.wire.tensors import Array

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


class Full:
    """A matrix product of activations and weights that use all eight bits, and what exact arithmetic says of it."""

    x: Array = np.random.default_rng(1).random((1, 64), dtype=np.float32) + 4
    weights = np.random.default_rng(0).integers(-127, 128, (64, 16)).astype(np.int8)

    @classmethod
    def exact(cls) -> Array:
        quantised = np.clip(np.rint(cls.x / np.float32(0.02)), 0, 255)
        product = quantised @ cls.weights.astype(np.int64) * 0.001
        return (np.clip(np.rint(product), 0, 255) * 0.02).astype(np.float32)

    @classmethod
    def file(cls) -> bytes:
        make, kinds = onnx.helper, onnx.TensorProto
        constants = [
            onnx.numpy_helper.from_array(cls.weights, "w"),
            onnx.numpy_helper.from_array(np.float32(0.001), "ws"),
            onnx.numpy_helper.from_array(np.int8(0), "wz"),
            onnx.numpy_helper.from_array(np.float32(0.02), "s"),
            onnx.numpy_helper.from_array(np.uint8(0), "z"),
        ]
        nodes = [
            make.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            make.make_node("QLinearMatMul", ["q", "s", "z", "w", "ws", "wz", "s", "z"], ["p"]),
            make.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
        ]
        x, y = (
            make.make_tensor_value_info(name, kinds.FLOAT, shape) for name, shape in (("x", [1, 64]), ("y", [1, 16]))
        )
        graph = make.make_graph(nodes, "net", [x], [y], constants)
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
        return bytes(model.SerializeToString())


def run(options: onnxruntime.SessionOptions) -> Array:
    session = onnxruntime.InferenceSession(Full.file(), options, providers=["CPUExecutionProvider"])
    return cast(Array, session.run(None, {"x": Full.x})[0])


def test_this_computer_computes_what_exact_arithmetic_does(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(Full.file())
    session = onnx_runtime.load(path, RuntimeRequest(delegate=Delegate.CPU, threads=1))
    session.set_inputs([Full.x])
    session.invoke()
    assert session.outputs()[0] == pytest.approx(Full.exact(), abs=0.021)


def test_without_the_option_only_a_processor_that_saturates_computes_other_values() -> None:
    wrong = float(np.abs(run(onnxruntime.SessionOptions()) - Full.exact()).max())
    assert wrong > 0.1 if saturates() else wrong < 0.021


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the option changes nothing on other processors")
def test_the_option_makes_weights_unsigned_and_changes_no_value(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(PRECISE, "1")
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    assert run(options) == pytest.approx(Full.exact(), abs=0.021)
    loaded = onnx.load(options.optimized_model_filepath).graph.initializer
    assert [t.data_type for t in loaded if list(t.dims) == [64, 16]] == [onnx.TensorProto.UINT8]
