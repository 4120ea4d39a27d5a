"""The digits files in a real Chromium: outputs as on the host, honest times and memory, refused delegates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.runners.host.runtimes.registry import open_session, run_once
from harness.wire import (
    CompanionRef,
    Delegate,
    DType,
    FailureKind,
    Format,
    LatencyPass,
    MeasurePass,
    Passes,
    ReplyStatus,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
)
from tests.devices.web.conftest import INPUTS, Bench, brief, outputs_only, run, values

VARIANTS = ("fp32", "fp16", "int8-dynamic", "int8")
# What the same files gave when this was written, rounded down; None stands for equal bytes.
LEAST_DB = {
    ("onnx", "fp32"): 120,
    ("onnx", "fp16"): 120,
    ("onnx", "int8-dynamic"): 100,
    ("onnx", "int8"): None,
    ("tflite", "fp32"): 120,
    ("tflite", "fp16"): 110,
    ("tflite", "int8-dynamic"): 55,
    ("tflite", "int8"): None,
}
DELEGATES = {"onnx": Delegate.CPU, "tflite": Delegate.XNNPACK}
Files = dict[tuple[str, str], Path]


def on_the_host(file: Path, format_: Format, delegate: Delegate, inputs: Path) -> np.ndarray:
    """The outputs of the host's own runtime."""
    session = open_session(file, RuntimeRequest(delegate=delegate, threads=1), format_)
    pictures = np.fromfile(inputs, dtype="<f4").reshape(INPUTS, 1, 1, 8, 8)
    rows = [np.asarray(run_once(session, (picture,))[0], dtype=np.float32).ravel() for picture in pictures]
    session.close()
    return np.concatenate(rows)


def decibels(expected: np.ndarray, got: np.ndarray) -> float:
    """The signal over the difference."""
    noise = float(np.sum((expected - got).astype(np.float64) ** 2))
    return 10 * np.log10(float(np.sum(expected.astype(np.float64) ** 2)) / noise) if noise else np.inf


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_outputs_are_those_of_the_host(
    bench: Bench, digits_files: Files, digits_inputs: Path, format_: str, variant: str
) -> None:
    file, delegate = digits_files[format_, variant], DELEGATES[format_]
    request = outputs_only(brief(Format(format_), file, delegate))
    got = values(run(bench.device, request, file, digits_inputs))
    expected = on_the_host(file, Format(format_), delegate, digits_inputs)
    least = LEAST_DB[format_, variant]
    if least is None:
        assert got.tobytes() == expected.tobytes()
    else:
        assert decibels(expected, got) > least


def test_a_launch_measures_what_was_asked(bench: Bench, digits_files: Files, digits_inputs: Path) -> None:
    file = digits_files["tflite", "fp32"]
    execution = run(bench.device, brief(Format.TFLITE, file, Delegate.XNNPACK, threads=2), file, digits_inputs)
    reply = execution.reply
    assert reply.failure is None
    assert reply.runner.kind == "web"
    assert reply.latency is not None
    assert reply.load is not None
    # The clock of a browser moves in steps of 5 µs, and a call takes some tens: so samples are of several calls. Only
    # where a busy computer makes single calls last half a millisecond is one enough.
    assert reply.latency.calls_per_sample > 1 or max(reply.latency.warmup_ns) >= 500_000
    assert len(reply.latency.warmup_ns) == 20
    assert len(reply.latency.samples_ns) == 30
    assert min(reply.latency.samples_ns) > 1_000
    assert len(reply.load.warm_ns) == 1
    assert reply.state is not None


def test_memory_is_that_of_the_process_that_runs_the_model(
    bench: Bench, tmp_path: Path, digits_files: Files, digits_inputs: Path
) -> None:
    """A file with 64 MiB of weights shows them while it is loaded, and afterwards: WebAssembly keeps what it has."""
    import onnx

    model = onnx.load(digits_files["onnx", "fp32"])
    weights = np.random.default_rng(0).standard_normal(16 << 20, dtype=np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "ballast"))
    sum_of = onnx.helper.make_node("ReduceSum", ["ballast"], ["ballast_sum"], keepdims=0)
    total = onnx.helper.make_node("Mul", ["ballast_sum", "nothing"], ["ballast_zero"])
    end = model.graph.output[0].name
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), "nothing"))
    added = onnx.helper.make_node("Add", [end, "ballast_zero"], ["with_ballast"])
    model.graph.node.extend([sum_of, total, added])
    model.graph.output[0].name = "with_ballast"
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    request = brief(Format.ONNX, file, Delegate.CPU)
    execution = run(bench.device, replace(request, passes=replace(request.passes, outputs=None)), file, digits_inputs)
    memory = execution.reply.memory
    assert memory is not None
    assert "never shrinks" in memory.definition
    assert memory.baseline_bytes is not None
    assert memory.loaded_bytes is not None
    assert memory.steady_bytes is not None
    assert memory.retained_bytes is not None
    assert memory.loaded_bytes - memory.baseline_bytes > 60 << 20
    assert memory.steady_bytes - memory.baseline_bytes > 60 << 20
    assert memory.retained_bytes - memory.baseline_bytes > 60 << 20


@pytest.mark.parametrize(("format_", "variant"), [("tflite", "fp32"), ("onnx", "fp32")])
def test_webgpu_in_software_is_named_as_such(
    bench: Bench, digits_files: Files, digits_inputs: Path, format_: str, variant: str
) -> None:
    file = digits_files[format_, variant]
    request = outputs_only(brief(Format(format_), file, Delegate.GPU))
    execution = run(bench.device, request, file, digits_inputs)
    assert decibels(on_the_host(file, Format(format_), DELEGATES[format_], digits_inputs), values(execution)) > 100
    runtime = execution.reply.runtime
    assert runtime is not None
    assert runtime.delegate_used == "gpu"
    assert runtime.accelerator is not None
    assert runtime.accelerator.software
    assert "swiftshader" in runtime.accelerator.name.lower()


def test_a_file_that_the_gpu_cannot_run_is_refused_with_the_reason(
    bench: Bench, digits_files: Files, digits_inputs: Path
) -> None:
    file = digits_files["tflite", "int8"]
    execution = run(bench.device, outputs_only(brief(Format.TFLITE, file, Delegate.GPU)), file, digits_inputs)
    assert execution.reply.status is not ReplyStatus.OK
    assert execution.reply.failure is not None
    assert "LiteRT.js" in execution.reply.failure.message


def test_weights_in_a_file_of_their_own_are_found(
    bench: Bench, tmp_path: Path, digits_files: Files, digits_inputs: Path
) -> None:
    import onnx

    from harness.system.files import file_sha256

    whole, file = digits_files["onnx", "fp32"], tmp_path / "model.onnx"
    onnx.save(onnx.load(whole), file, save_as_external_data=True, location="model.onnx.data", size_threshold=64)
    beside = tmp_path / "model.onnx.data"
    request = outputs_only(brief(Format.ONNX, file, Delegate.CPU))
    companion = CompanionRef(file=beside.name, sha256=file_sha256(beside))
    request = replace(request, artifact=replace(request.artifact, companions=(companion,)))
    bench.device.push(beside, companion.sha256)
    got = values(run(bench.device, request, file, digits_inputs))
    assert decibels(on_the_host(whole, Format.ONNX, Delegate.CPU, digits_inputs), got) > 120


# A network of all element types: each output is its input, which has gone through the runtime.
TYPES = (DType.FLOAT32, DType.FLOAT16, DType.INT64, DType.INT32, DType.INT8, DType.UINT8, DType.BOOL)


def test_every_element_type_goes_through_unchanged(bench: Bench, tmp_path: Path) -> None:
    import onnx

    specs = tuple(TensorSpec(name=f"in_{dtype.value}", dtype=dtype, shape=(2, 2)) for dtype in TYPES)
    arrays = [edge_values(dtype) for dtype in TYPES]
    nodes = [onnx.helper.make_node("Identity", [spec.name], [spec.name.replace("in", "out")]) for spec in specs]
    ends = [
        [
            onnx.helper.make_tensor_value_info(
                spec.name.replace("in", side), onnx.helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype.value)), [2, 2]
            )
            for spec in specs
        ]
        for side in ("in", "out")
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "types", *ends), opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    file, inputs = tmp_path / "types.onnx", tmp_path / "types.bin"
    onnx.save(model, file)
    inputs.write_bytes(b"".join(array.tobytes() for array in arrays))
    request = brief(Format.ONNX, file, Delegate.CPU)
    passes = Passes(outputs=replace(request.passes.outputs, count=1) if request.passes.outputs else None)
    request = replace(request, inputs=replace(request.inputs, count=1, tensors=specs), passes=passes)
    execution = run(bench.device, request, file, inputs)
    assert execution.reply.failure is None
    assert execution.outputs is not None
    # Floats of any width come back as float32.
    expected = [array.astype(np.float32) if array.dtype.kind == "f" else array for array in arrays]
    assert execution.outputs.read_bytes() == b"".join(array.tobytes() for array in expected)


def edge_values(dtype: DType) -> np.ndarray:
    """Four values of a type, its limits among them."""
    if dtype is DType.BOOL:
        return np.array([[True, False], [False, True]])
    if dtype in (DType.FLOAT32, DType.FLOAT16):
        limits = np.finfo(dtype.value)
        return np.array([[limits.max, limits.smallest_subnormal], [-1.5, 0.1]], dtype=dtype.value)
    integers = np.iinfo(dtype.value)
    return np.array([[integers.max, integers.min], [1, 0]], dtype=dtype.value)


def test_a_float32_input_is_rounded_to_float16_as_numpy_rounds(bench: Bench, tmp_path: Path) -> None:
    import onnx

    # Ties, subnormals, the largest half and what rounds to infinity.
    numbers = [1 + 2**-11, 1 + 3 * 2**-11, 2**-24, 2**-25, 3 * 2**-25, 65504, 65519.996, 65520, -0.1, 6.1e-5, 0, 1e-9]
    array = np.array([numbers], dtype=np.float32)
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT16, [1, len(numbers)]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "halves", info[:1], info[1:])
    file, inputs = tmp_path / "halves.onnx", tmp_path / "halves.bin"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), file)
    inputs.write_bytes(array.tobytes())
    request = brief(Format.ONNX, file, Delegate.CPU)
    spec = TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, len(numbers)))
    passes = Passes(outputs=replace(request.passes.outputs, count=1) if request.passes.outputs else None)
    request = replace(request, inputs=replace(request.inputs, count=1, tensors=(spec,)), passes=passes)
    with np.errstate(over="ignore"):
        expected = array.astype(np.float16).astype(np.float32).ravel()
    assert values(run(bench.device, request, file, inputs)).tolist() == expected.tolist()


def test_a_wrong_digest_is_noticed_by_the_page(bench: Bench, tmp_path: Path, digits_inputs: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"this is not what was asked for")
    request = brief(Format.ONNX, file, Delegate.CPU)
    # Kept under the digest of another file, as if the disk had changed it.
    request = replace(request, artifact=replace(request.artifact, sha256="0" * 64))
    failure = run(bench.device, request, file, digits_inputs).reply.failure
    assert failure is not None
    assert failure.kind is FailureKind.DIGEST
    assert "deploy it again" in failure.message


def test_what_is_no_model_is_a_failed_load(bench: Bench, tmp_path: Path, digits_inputs: Path) -> None:
    for format_, delegate in ((Format.ONNX, Delegate.CPU), (Format.TFLITE, Delegate.XNNPACK)):
        file = tmp_path / f"model.{format_.value}"
        file.write_bytes(b"no model" * 100)
        failure = run(bench.device, brief(format_, file, delegate), file, digits_inputs).reply.failure
        assert failure is not None
        assert failure.kind is FailureKind.LOAD
        assert f"cannot load '{file.name}'" in failure.message


def test_an_input_of_another_shape_is_refused(bench: Bench, digits_files: Files, digits_inputs: Path) -> None:
    file = digits_files["tflite", "fp32"]
    request = brief(Format.TFLITE, file, Delegate.XNNPACK)
    spec = replace(request.inputs.tensors[0], shape=(1, 1, 4, 16))
    request = replace(request, inputs=replace(request.inputs, tensors=(spec,)))
    failure = run(bench.device, request, file, digits_inputs).reply.failure
    assert failure is not None
    assert failure.kind is FailureKind.INPUT
    assert "correct [[input]] in model.toml" in failure.message


@pytest.mark.parametrize(
    ("format_", "delegate", "said"),
    [("tflite", Delegate.CPU, "xnnpack, gpu"), ("onnx", Delegate.XNNPACK, "cpu, gpu"), ("onnx", Delegate.NNAPI, "cpu")],
)
def test_a_delegate_that_browsers_lack_is_unsupported(
    bench: Bench, digits_files: Files, digits_inputs: Path, format_: str, delegate: Delegate, said: str
) -> None:
    file = digits_files[format_, "fp32"]
    reply = run(bench.device, brief(Format(format_), file, delegate), file, digits_inputs).reply
    assert reply.status is ReplyStatus.UNSUPPORTED
    assert reply.failure is not None
    assert said in reply.failure.message


def test_a_stride_keeps_few_samples_with_their_moments(bench: Bench, digits_files: Files, digits_inputs: Path) -> None:
    file = digits_files["tflite", "fp32"]
    measure = MeasurePass(min_calls=1, min_ns=200_000_000, max_ns=10**10)
    latency = LatencyPass(warmup=WarmupPass(min_calls=5, min_ns=0), measure=measure, stride_ns=50_000_000)
    request = replace(brief(Format.TFLITE, file, Delegate.XNNPACK), passes=Passes(latency=latency))
    reply = run(bench.device, request, file, digits_inputs).reply
    assert reply.latency is not None
    assert 2 <= len(reply.latency.samples_ns) <= 5
    assert all(
        later - earlier >= 50_000_000
        for earlier, later in zip(reply.latency.at_ns, reply.latency.at_ns[1:], strict=False)
    )
