"""Files of other tools on the real command line: what they need is asked for, what they hold is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.vulkan import has_own_driver, software_driver
from tests.conftest import CommandLine
from tests.readers.tflite_files import tflite_chain, tflite_file

onnx: Any = pytest.importorskip("onnx")
make, numbers = onnx.helper, onnx.numpy_helper
FLOAT, INT64, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING


def info(name: str, kind: int, shape: list[Any]) -> Any:
    return make.make_tensor_value_info(name, kind, shape)


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], *weights: Any, **how: Any) -> None:
    graph = make.make_graph(nodes, "net", inputs, outputs, weights)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9), str(path), **how)


def gather(path: Path) -> None:
    """Looks up rows of a table of two, and multiplies them by a rate, which is a scalar."""
    nodes = [make.make_node("Gather", ["table", "ids"], ["rows"]), make.make_node("Mul", ["rows", "rate"], ["y"])]
    table = numbers.from_array(np.ones((2, 3), np.float32), "table")
    inputs = [info("ids", INT64, [1, 4]), info("rate", FLOAT, [])]
    save(path, nodes, inputs, [info("y", FLOAT, [1, 4, 3])], table)


def test_a_file_that_needs_other_values_is_not_broken(phonebench: CommandLine, tmp_path: Path) -> None:
    """The ids 0 to 9 are not in a table of two rows. With the range that the message asks for, it runs."""
    gather(tmp_path / "net.onnx")
    done = phonebench("run", "net.onnx", "--json")
    (cell,) = done.json()["cells"]
    assert cell["status"] == "unsupported"
    assert "made-up inputs" in cell["reason"]
    assert "--input ids:int64:1x4:LOW..HIGH" in cell["reason"]
    done = phonebench("run", "net.onnx", "--input", "ids:int64:1x4:0..1", "--json")
    assert done.code == 0, done.err
    (cell,) = done.json()["cells"]
    assert (cell["status"], cell["artifact"]["types"]["weights"]) == ("ok", {"float32": 6})


def test_open_sizes_are_asked_for_before_a_run_is_stored(phonebench: CommandLine, tmp_path: Path) -> None:
    shape = ["batch", 3, "height", "width"]
    nodes = [make.make_node("Relu", ["x"], ["y"])]
    save(tmp_path / "net.onnx", nodes, [info("x", FLOAT, shape)], [info("y", FLOAT, shape)])
    for command in (["run"], ["run", "--dry-run"], ["build"]):
        done = phonebench(*command, "net.onnx")
        assert done.code == 2
        assert done.err.rstrip().endswith("--input x:float32:1x3x?x?")
    assert not (tmp_path / "results").exists()
    np.savez(tmp_path / "data.npz", test_inputs=np.zeros((4, 3, 8, 6), np.float32))
    for more in (["--input", "x:float32:1x3x8x6"], ["--data", "data.npz"]):
        done = phonebench("run", "net.onnx", *more, "--json")
        assert [cell["status"] for cell in done.json()["cells"]] == ["ok"]


def test_text_is_refused_by_name_and_costs_no_other_file(phonebench: CommandLine, tmp_path: Path) -> None:
    save(tmp_path / "text.onnx", [make.make_node("Identity", ["x"], ["y"])], [info("x", STRING, [1])],
         [info("y", STRING, [1])])  # fmt: skip
    (tmp_path / "text.tflite").write_bytes(tflite_file("STRING", [2]))
    (tmp_path / "net.tflite").write_bytes(tflite_file("FLOAT32", []))
    done = phonebench("run", "text.onnx", "text.tflite", "net.tflite", "--json")
    assert done.code == 0, done.err
    cells = {cell["model"]: (cell["status"], cell["reason"]) for cell in done.json()["cells"]}
    assert cells["net"] == ("ok", None)
    for name in ("text-onnx", "text-tflite"):
        assert cells[name][0] == "unsupported"
        assert f"input 'x' of {name.replace('-', '.')} holds strings" in cells[name][1]


def test_weights_in_a_file_of_their_own_are_taken_along(phonebench: CommandLine, tmp_path: Path) -> None:
    table = numbers.from_array(np.arange(1024, dtype=np.float32).reshape(1, 1024), "w")
    save(
        tmp_path / "net.onnx", [make.make_node("Add", ["x", "w"], ["y"])], [info("x", FLOAT, [1, 1024])],
        [info("y", FLOAT, [1, 1024])], table, save_as_external_data=True, location="net.weights", size_threshold=0,
    )  # fmt: skip
    done = phonebench("run", "net.onnx", "--json")
    assert done.code == 0, done.err
    (cell,) = done.json()["cells"]
    assert cell["artifact"]["bytes"] > 4096
    assert cell["artifact"]["types"]["weights"] == {"float32": 1024}
    (tmp_path / "net.weights").unlink()
    done = phonebench("run", "net.onnx")
    assert done.code == 2
    assert "net.onnx keeps weights in 'net.weights', and there is no such file" in done.err


def test_a_software_gpu_is_measured_with_its_condition_and_never_recommended(
    phonebench: CommandLine, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert.compiled_model")
    if software_driver() is None and not has_own_driver(os.environ):
        pytest.skip("missing: a Vulkan driver; run: apt-get install chromium")
    # The delegate has no logarithm of a softmax.
    (tmp_path / "chain.tflite").write_bytes(tflite_chain(["ABS", "EXP", "LOG_SOFTMAX"]))
    done = phonebench("run", "chain.tflite", "--delegate", "gpu,xnnpack", "--operators", "--json")
    assert done.code == 0, done.err
    document = done.json()
    cells = {cell["delegate"]: cell for cell in document["cells"]}
    assert cells["gpu"]["status"] == "ok"
    said = {condition["id"]: condition["summary"] for condition in cells["gpu"]["conditions"]}
    assert said["PARTIAL"] == "ran partly on gpu: 2 of 3 nodes, not 1 LOG_SOFTMAX"
    if not has_own_driver({}):
        assert "SwiftShader" in said["SOFTWARE-GPU"]
        assert document["advice"][0]["smallest"] == cells["xnnpack"]["key"]
    assert "SOFTWARE-GPU" not in {condition["id"] for condition in cells["xnnpack"]["conditions"]}
    profiles = {profile["cell"]: profile for profile in document["operators"]}
    assert [o["kind"] for o in profiles[cells["gpu"]["key"]]["operators"]] == ["GPU", "LOG_SOFTMAX"]
    assert profiles[cells["xnnpack"]["key"]]["total_ns"] > 0
