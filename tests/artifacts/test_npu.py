"""Files for neural processors: compiled for real and run in the simulator, and a sentence for all that cannot be."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.artifacts.npu.litert import MAKERS, compile_for_litert
from harness.artifacts.npu.place import FACTS_FILE, fill_output
from harness.artifacts.npu.qnn import LIBRARIES_FOLDER, compile_for_qnn, why_no_qnn
from harness.artifacts.npu.routes import RouteState, npu_routes
from harness.artifacts.npu.sdk import phone_libraries, why_no_sdk
from harness.cli.npu import npu
from harness.errors import BuildError, UsageError
from harness.wire import Format
from tests.cli.calls import call
from tests.conftest import MISSING

needs_qnn = pytest.mark.skipif(bool(why_no_qnn()), reason=f"{MISSING}onnxruntime-qnn: {why_no_qnn()}")
ARM, HEXAGON, X86 = 183, 164, 62


def quantised(folder: Path) -> Path:
    """A linear layer with ReLU, quantised with scales that were chosen by hand."""
    weights = np.random.default_rng(0).uniform(-1, 1, (16, 8)).astype(np.float32)
    scales = {"x": 1 / 255, "w": 2 / 255, "y": 16 / 255}
    nodes, constants = [], [numpy_helper.from_array(weights, "w")]

    def pair(name: str) -> str:
        zero = np.array(0 if name != "w" else 128, dtype=np.uint8)
        constants.extend(
            [
                numpy_helper.from_array(np.array(scales[name], dtype=np.float32), f"{name}_scale"),
                numpy_helper.from_array(zero, f"{name}_zero"),
            ]
        )
        parameters = [f"{name}_scale", f"{name}_zero"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *parameters], [f"{name}_d"]))
        return f"{name}_d"

    inputs = [pair("x"), pair("w")]
    nodes.append(helper.make_node("MatMul", inputs, ["m"]))
    nodes.append(helper.make_node("Relu", ["m"], ["y"]))
    pair("y")
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [helper.make_tensor_value_info("y_d", TensorProto.FLOAT, [1, 8])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = folder / "int8.onnx"
    onnx.save(model, path)
    return path


def custom_operator(folder: Path) -> Path:
    """A network whose one operator the processor does not have."""
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"])],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    path = folder / "det.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


@needs_qnn
def test_a_quantised_network_is_compiled_and_computes_the_same_in_the_simulator(tmp_path: Path) -> None:
    model = quantised(tmp_path)
    # An empty folder may be there already.
    (tmp_path / "out").mkdir()
    done = call("npu", str(model), "--chip", "v75", "--soc", "57", "-o", str(tmp_path / "out"), "--json")
    assert done.code == 0, done.err
    assert done.json()["simulator_sqnr_db"] > 30
    assert done.json()["versions"]["onnxruntime"] == onnxruntime.__version__
    # Nothing of the network is left in the file but the context.
    nodes = onnx.load(tmp_path / "out/model.onnx", load_external_data=False).graph.node
    assert [node.op_type for node in nodes] == ["EPContext"]
    facts = json.loads((tmp_path / "out" / FACTS_FILE).read_text())
    assert set(facts["files"]) == {"model.onnx", "model_qnn.bin"}
    # No speed is shown.
    assert set(done.json()) == {"folder", "chip", "simulator_sqnr_db", "versions", "libraries"}


@needs_qnn
def test_the_chip_decides_what_is_in_the_file(tmp_path: Path) -> None:
    model = quantised(tmp_path)
    files = [compile_for_qnn(model, tmp_path / chip, chip).folder / "model_qnn.bin" for chip in ("v68", "v75")]
    assert files[0].read_bytes() != files[1].read_bytes()


@needs_qnn
def test_what_the_compiler_refuses_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"the compiler refuses 'det.onnx': .*static int8 is what the processor"):
        compile_for_qnn(custom_operator(tmp_path), tmp_path / "out", "v75")
    assert not (tmp_path / "out").exists()


@needs_qnn
def test_an_input_that_cannot_be_checked_is_named_before_anything_is_compiled(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.INT64, [1, 4]) for name in ("ids", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["ids"], ["y"])], "ids", values[:1], values[1:])
    path = tmp_path / "ids.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    with pytest.raises(BuildError, match=r"input 'ids' is tensor\(int64\) \[1, 4\], and it must be float32"):
        compile_for_qnn(path, tmp_path / "out", "v75")
    assert not (tmp_path / "out").exists()


@needs_qnn
@pytest.mark.parametrize(
    ("chip", "name", "says"),
    [
        ("v99", "int8.onnx", "--chip 'v99' is not known to the compiler"),
        ("v75", "int8.tflite", "is no .onnx file"),
        ("v75", "missing.onnx", "is no .onnx file"),
    ],
)
def test_what_cannot_be_compiled_is_refused_before_anything_runs(
    tmp_path: Path, chip: str, name: str, says: str
) -> None:
    quantised(tmp_path)
    with pytest.raises(UsageError, match=says):
        compile_for_qnn(tmp_path / name, tmp_path / "out", chip)


@needs_qnn
def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists and is not empty"):
        compile_for_qnn(quantised(tmp_path), tmp_path, "v75")


def library(path: Path, machine: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF" + bytes(14) + struct.pack("<H", machine))


def test_a_folder_that_could_not_be_filled_does_not_remain(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with pytest.raises(FileNotFoundError), fill_output(out):
        shutil.copyfile(tmp_path / "absent", out / "model.tflite")
    assert not out.exists()


def sdk(folder: Path) -> Path:
    for name in ("libQnnHtp.so", "libQnnSystem.so", "libQnnHtpV75Stub.so"):
        library(folder / "lib/aarch64-android" / name, ARM)
    library(folder / "lib/hexagon-v75/unsigned/libQnnHtpV75Skel.so", HEXAGON)
    library(folder / "lib/x86_64-linux-clang/libQnnHtp.so", X86)
    return folder


@needs_qnn
def test_the_libraries_of_the_phone_are_packed_from_the_users_sdk(tmp_path: Path) -> None:
    done = compile_for_qnn(quantised(tmp_path), tmp_path / "out", "v75", libraries=sdk(tmp_path / "sdk"))
    names = ["libQnnHtp.so", "libQnnHtpV75Skel.so", "libQnnHtpV75Stub.so", "libQnnSystem.so"]
    assert sorted(path.name for path in (done.folder / LIBRARIES_FOLDER).iterdir()) == names
    assert sorted(done.libraries) == names


def without_one(folder: Path) -> Path:
    (sdk(folder) / "lib/hexagon-v75/unsigned/libQnnHtpV75Skel.so").unlink()
    return folder


def for_a_computer(folder: Path) -> Path:
    library(sdk(folder) / "lib/aarch64-android/libQnnSystem.so", X86)
    return folder


def not_a_library(folder: Path) -> Path:
    (sdk(folder) / "lib/aarch64-android/libQnnHtp.so").write_text("404: not found")
    return folder


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (without_one, "has no 'libQnnHtpV75Skel.so'"),
        (for_a_computer, "is a library for x86-64, but a phone needs it for 64-bit ARM"),
        (not_a_library, "is a library for no known system"),
        (lambda folder: folder, "is no folder"),
    ],
    ids=["without-one", "for-a-computer", "not-a-library", "no-folder"],
)
def test_libraries_that_are_not_a_phones_are_refused(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        phone_libraries(make(tmp_path / "sdk"), "v75")


def test_why_a_folder_is_no_sdk(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    whole = sdk(tmp_path / "outer" / "qairt")
    assert why_no_sdk(str(whole)) == ""
    assert "set QNN_SDK_ROOT to the folder" in why_no_sdk("")
    assert "does not exist" in why_no_sdk(str(tmp_path / "nowhere"))
    assert "is a file" in why_no_sdk(str(file))
    assert f"set it to {str(whole)!r}" in why_no_sdk(str(whole.parent))
    assert "has no lib/x86_64-linux-clang/libQnnHtp.so" in why_no_sdk(str(whole / "lib"))


def test_every_way_has_a_row_with_its_state_and_the_next_step(tmp_path: Path) -> None:
    rows = {(route.format, route.maker): route for route in npu_routes({})}
    assert {maker for format_, maker in rows if format_ is Format.TFLITE} == {
        "Qualcomm", "MediaTek", "Google Tensor", "Samsung", "Intel",
    }  # fmt: skip
    assert all(route.detail for route in rows.values())
    assert "QNN_SDK_ROOT" in rows[Format.PTE, "Qualcomm"].detail
    assert "ai-edge-litert-sdk-mediatek" in rows[Format.TFLITE, "MediaTek"].detail
    named = npu_routes({"QNN_SDK_ROOT": str(sdk(tmp_path))})
    pte = next(route for route in named if route.format is Format.PTE)
    assert (pte.state, "phonebench npu MODEL" in pte.detail) == (RouteState.BUILDS, True)


@pytest.fixture(scope="module")
def tflite(digits_files: dict[tuple[str, str], Path]) -> Path:
    return digits_files["tflite", "int8"]


@pytest.mark.parametrize(
    ("maker", "chip", "error", "says"),
    [
        ("qualcomm", "SM8650", BuildError, "does not compile 'model.tflite': .*libQnnHtp.so: cannot open shared"),
        ("mediatek", "MT6991", BuildError, "Failed to load NeuronAdapter shared library"),
        ("google", "Tensor_G5", BuildError, "liblitert_plugin_compiler.so: cannot open shared"),
        ("mediatek", "MT1", UsageError, "not one that LiteRT knows of MediaTek: use one of MT6853, MT6877"),
    ],
)
def test_a_plugin_with_half_an_sdk_says_what_is_missing(
    tflite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    maker: str,
    chip: str,
    error: type[Exception],
    says: str,
) -> None:
    """The real plug-in runs; nobody here has the maker's libraries."""
    (tmp_path / "sdk").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(error, match=says):
        compile_for_litert(tflite, tmp_path / "out", maker, chip, sdk=Path("~/sdk"))
    assert not (tmp_path / "out").exists()


def test_what_an_npu_file_needs_is_said_before_anything_runs(tflite: Path, tmp_path: Path) -> None:
    out = ["-o", str(tmp_path / "out")]
    without = call("npu", str(tflite), "--for", "samsung", "--chip", "E9965", *out)
    assert (without.code, "as the package ai-edge-litert-sdk-samsung" in without.err) == (2, True)
    nowhere = call("npu", str(tflite), "--for", "samsung", "--chip", "E9965", "--sdk", str(tmp_path / "no"), *out)
    assert (nowhere.code, "is no folder: name the one with Samsung's libraries" in nowhere.err) == (2, True)
    model = call("npu", "digits", "--chip", "SM8650", "--sdk", str(tmp_path), *out)
    assert (model.code, "has no lib/x86_64-linux-clang/libQnnHtp.so" in model.err) == (2, True)
    other = call("npu", "digits", "--for", "mediatek", "--chip", "MT6991", *out)
    assert (other.code, "--for mediatek takes a .tflite file" in other.err) == (2, True)
    packed = call("npu", str(tflite), "--chip", "SM8650", "--libraries", str(tmp_path), *out)
    assert (packed.code, "are for .onnx files" in packed.err) == (2, True)


def test_executorch_asks_its_own_backend_for_the_chip_and_calibrates_the_network(tmp_path: Path) -> None:
    """What needs no SDK of the backend: its quantiser and the record that its compiler is given."""
    code = "from tests.artifacts.qnn_without_sdk import check; check()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"QNN_SDK_ROOT": str(sdk(tmp_path)), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_compiled_file_is_not_called_broken_and_does_not_run_elsewhere(tmp_path: Path) -> None:
    node = helper.make_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", source="QNN", embed_mode=0, ep_cache_context="net_qnn.bin"
    )
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([node], "net", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "net.onnx")
    (tmp_path / "net_qnn.bin").write_bytes(b"binary")
    folder = tmp_path / "results"
    done = call(
        "run", str(tmp_path / "net.onnx"), "--delegate", "cpu,qnn", "--profile", "quick", "--results", str(folder)
    )
    # Nothing could be measured.
    assert done.code == 4, done.err
    reasons = " ".join(done.out.split())
    assert "'model.onnx' is compiled for another processor and does not run on the delegate cpu" in reasons
    assert "device 'host' has no qnn (it has: cpu, xnnpack, gpu)" in reasons
    # The binary beside the file went along with it.
    stored = next(folder.glob("*/measurements.jsonl")).read_text()
    assert hashlib.sha256(b"binary").hexdigest() in stored


def test_the_command_takes_every_maker_that_there_is_a_plug_in_for() -> None:
    (option,) = (option for option in npu.params if option.name == "maker")
    assert list(option.type.choices) == list(MAKERS)  # type: ignore[attr-defined]
