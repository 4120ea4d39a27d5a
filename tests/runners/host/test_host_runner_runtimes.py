"""The runtimes in this process, as verification uses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.readers.pte import PteFacts, read_pte
from harness.runners.host.runtimes.registry import LANGUAGE_RUNTIMES, PROFILERS, RUNTIMES, open_session, run_once
from harness.runners.host.runtimes.session import Profiled, SessionError, check_inputs, import_library
from harness.runners.host.runtimes.tflite import coverage, dequantise, quantise
from harness.wire import Delegate, DType, FailureKind, Format, RuntimeRequest, TensorSpec

CPU = RuntimeRequest(delegate=Delegate.CPU, threads=1)
XNNPACK = RuntimeRequest(delegate=Delegate.XNNPACK, threads=1)
FILES = [
    ("tflite_file", Format.TFLITE),
    ("onnx_file", Format.ONNX),
    ("pte_file", Format.PTE),
    ("ptl_file", Format.PTL),
]


def test_every_format_has_a_runtime_but_that_of_apple() -> None:
    of_language_models = {Format.GENAI, Format.LITERTLM, Format.GGUF}
    assert set(RUNTIMES) == set(Format) - {Format.MLPACKAGE, Format.OTHER} - of_language_models
    assert set(LANGUAGE_RUNTIMES) == {*of_language_models, Format.PTE}
    with pytest.raises(SessionError, match="this host has no runtime for mlpackage") as raised:
        open_session(Path("model.mlpackage.zip"), CPU, Format.MLPACKAGE)
    assert raised.value.unsupported


@pytest.mark.parametrize(("artifact", "format_"), FILES)
def test_one_session_runs_input_after_input(
    artifact: str, format_: Format, zoo: Any, request: pytest.FixtureRequest
) -> None:
    session = open_session(request.getfixturevalue(artifact), CPU, format_)
    for image, expected in zip(zoo.inputs, zoo.expected, strict=True):
        np.testing.assert_allclose(run_once(session, [image])[0], expected, atol=1e-5)
    session.close()


@pytest.mark.parametrize(("artifact", "format_"), FILES)
def test_a_call_repeated_on_the_same_inputs_gives_the_same(
    artifact: str, format_: Format, zoo: Any, request: pytest.FixtureRequest
) -> None:
    session = open_session(request.getfixturevalue(artifact), CPU, format_)
    session.set_inputs([zoo.inputs[0]])
    for _ in range(3):
        session.invoke()
    np.testing.assert_allclose(session.outputs()[0], zoo.expected[0], atol=1e-5)
    session.close()


@pytest.mark.parametrize(("artifact", "format_"), FILES)
def test_outputs_outlive_the_next_call(
    artifact: str, format_: Format, zoo: Any, request: pytest.FixtureRequest
) -> None:
    session = open_session(request.getfixturevalue(artifact), CPU, format_)
    first = run_once(session, [zoo.inputs[0]])[0]
    run_once(session, [zoo.inputs[1]])
    session.close()
    np.testing.assert_allclose(first, zoo.expected[0], atol=1e-5)


@pytest.mark.parametrize(("artifact", "format_"), FILES[:3])
def test_a_runtime_tells_its_inputs(artifact: str, format_: Format, request: pytest.FixtureRequest) -> None:
    session = open_session(request.getfixturevalue(artifact), CPU, format_)
    specs = session.inputs()
    session.close()
    assert specs is not None
    assert [(spec.dtype, spec.shape) for spec in specs] == [(DType.FLOAT32, (1, 1, 8, 8))]


def test_a_quantised_input_is_a_float_to_the_outside(tflite_int8_file: Path) -> None:
    session = open_session(tflite_int8_file, XNNPACK, Format.TFLITE)
    assert session.inputs() == (TensorSpec(name="args_0", dtype=DType.FLOAT32, shape=(1, 1, 8, 8)),)
    session.close()


def test_litert_tells_what_xnnpack_took(tflite_file: Path) -> None:
    taken = open_session(tflite_file, XNNPACK, Format.TFLITE).report()
    left = open_session(tflite_file, CPU, Format.TFLITE).report()
    assert (taken.nodes_delegated, taken.partitions) == (taken.nodes_total, 1)
    assert (left.nodes_total, left.nodes_delegated, left.partitions) == (taken.nodes_total, 0, 0)


def test_a_pte_reports_its_own_backend_whatever_was_asked(pte_xnnpack_file: Path) -> None:
    session = open_session(pte_xnnpack_file, CPU, Format.PTE)
    report = session.report()
    session.close()
    assert (report.delegate_requested, report.delegate_used) == (Delegate.CPU, "xnnpack")
    assert (report.nodes_delegated, report.partitions) == (report.nodes_total, 1)


def test_the_threads_of_executorch_stay_while_a_program_is_loaded(pte_file: Path) -> None:
    session = open_session(pte_file, CPU, Format.PTE)
    with pytest.raises(SessionError, match="2 threads while a program is loaded"):
        open_session(pte_file, replace(CPU, threads=2), Format.PTE)
    session.close()


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(SessionError, match=r"phonebench\[onnx\]") as caught:
        import_library("no_such_runtime", extra="onnx")
    assert caught.value.unsupported


@pytest.mark.parametrize("array", [np.zeros((1, 3), "f4"), np.zeros((2,), "f4"), np.zeros((1, 2), "i4")])
def test_inputs_that_do_not_fit_are_refused(array: Any) -> None:
    with pytest.raises(SessionError, match="'x'") as caught:
        check_inputs([TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 2))], [array])
    assert caught.value.kind is FailureKind.INPUT


@pytest.mark.parametrize(
    ("dtype", "shape", "array"),
    [
        (DType.FLOAT16, (1, 2), np.zeros((1, 2), "f4")),
        (DType.INT32, (1, 2), np.zeros((1, 2), "i8")),
        (DType.FLOAT32, (-1, 2), np.zeros((7, 2), "f4")),
    ],
)
def test_inputs_that_a_cast_or_an_open_dimension_takes_are_let_through(
    dtype: DType, shape: tuple[int, ...], array: Any
) -> None:
    check_inputs([TensorSpec(name="x", dtype=dtype, shape=shape)], [array])


def detail(dtype: type, scales: list[float], zero_points: list[int]) -> dict[str, Any]:
    parameters = {"scales": np.array(scales, "f4"), "zero_points": np.array(zero_points), "quantized_dimension": 1}
    return {"dtype": dtype, "shape": np.array([1, 2]), "quantization_parameters": parameters}


@pytest.mark.parametrize(
    ("tensor", "real", "stored"),
    [
        (detail(np.int8, [0.5], [10]), [1.0, -2.5], [12, 5]),
        (detail(np.int8, [0.5], [10]), [1e6, -1e6], [127, -128]),
        (detail(np.uint8, [0.25], [128]), [0.0, 1.0], [128, 132]),
        (detail(np.int16, [0.001], [0]), [1.0, -1.0], [1000, -1000]),
        (detail(np.int8, [0.5, 2.0], [0, 1]), [1.0, 4.0], [2, 3]),
        (detail(np.float32, [], []), [1.25, 2.5], [1.25, 2.5]),
    ],
)
def test_values_are_quantised_with_the_tensors_own_scale(
    tensor: dict[str, Any], real: list[float], stored: list[float]
) -> None:
    result = quantise(np.array([real], "f4"), tensor)
    assert result.dtype == tensor["dtype"]
    assert result.tolist() == [stored]


def test_outputs_are_dequantised_to_float32() -> None:
    result = dequantise(np.array([[12, 5]], np.int8), detail(np.int8, [0.5], [10]))
    assert result.dtype == np.float32
    assert result.tolist() == [[1.0, -2.5]]


def test_tokens_are_cast_and_not_quantised() -> None:
    result = quantise(np.array([[70_000, 3]], np.int64), detail(np.int32, [], []))
    assert result.dtype == np.int32
    assert result.tolist() == [[70_000, 3]]


def node(name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"op_name": name, "inputs": np.array(inputs), "outputs": np.array(outputs)}


# 0 -> CONV -> 1 -> CUSTOM -> 2 -> ADD(2, 2) -> 3 -> SOFTMAX -> 4
CHAIN = [
    node("CONV_2D", [0, 10], [1]),
    node("CUSTOM", [1], [2]),
    node("ADD", [2, 2], [3]),
    node("SOFTMAX", [3], [4]),
]


@pytest.mark.parametrize(
    ("partitions", "counts"),
    [
        ([], (4, 0, 0)),
        ([node("DELEGATE", [0, 10], [1])], (4, 1, 1)),
        ([node("DELEGATE", [0, 10], [1]), node("DELEGATE", [2], [4])], (4, 3, 2)),
        ([node("DELEGATE", [0, 10], [4])], (4, 4, 1)),
    ],
)
def test_coverage_counts_what_partitions_replaced(
    partitions: list[dict[str, Any]], counts: tuple[int, int, int]
) -> None:
    assert coverage(CHAIN + partitions) == counts


def test_a_portable_program_has_no_backend(pte_file: Path) -> None:
    facts = read_pte(pte_file)
    assert (facts.backends, facts.nodes_delegated, facts.partitions) == ((), 0, 0)
    assert facts.nodes_total is not None
    assert facts.nodes_total >= 4


@pytest.mark.parametrize(
    "damage", [lambda b: b[:100], lambda b: b[:32] + b"\xff" * 400 + b[432:], lambda b: b[:0], bytes.swapcase]
)
def test_a_damaged_program_is_unknown_and_no_error(
    damage: Callable[[bytes], bytes], pte_xnnpack_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.pte"
    path.write_bytes(damage(pte_xnnpack_file.read_bytes()))
    assert read_pte(path) == PteFacts()


def profiled(path: Path, format_: Format, request: RuntimeRequest) -> Profiled:
    RUNTIMES[format_].import_runtime(request)
    return PROFILERS[format_](path, request, [np.ones((1, 1, 8, 8), np.float32)], 3)


def test_torchscript_operators_are_those_of_the_traced_network(ptl_file: Path) -> None:
    found = profiled(ptl_file, Format.PTL, CPU)
    assert [o.kind for o in found.operators] == ["aten::_convolution", "aten::relu", "aten::flatten", "aten::linear"]
    assert [o.name for o in found.operators] == ["0", "1", "2", "3"]
    assert all(len(o.samples_ns) == 3 and min(o.samples_ns) > 0 for o in found.operators)


def test_executorch_has_no_times_and_says_why(pte_file: Path, pte_xnnpack_file: Path) -> None:
    found = profiled(pte_file, Format.PTE, CPU)
    assert "no event tracer" in found.facts.reason
    assert {(o.ran_on, o.samples_ns) for o in found.operators} == {("cpu", ())}
    assert Counter([o.kind for o in found.operators])["aten::convolution.out"] == 1
    assert len(found.operators) == read_pte(pte_file).kernel_calls
    lowered = profiled(pte_xnnpack_file, Format.PTE, XNNPACK)
    assert [(o.kind, o.ran_on) for o in lowered.operators] == [("XnnpackBackend", "xnnpack")]
    assert lowered.operators[0].nodes == read_pte(pte_xnnpack_file).nodes_delegated


def test_a_tracer_in_executorchs_package_would_be_noticed(pte_file: Path, tmp_path: Path) -> None:
    """The reason that the profile gives is true of the installed package: it writes no trace."""
    library: Any = pytest.importorskip("executorch.extension.pybindings._portable_lib")
    torch: Any = pytest.importorskip("torch")
    module = library._load_for_executorch(str(pte_file), enable_etdump=True)
    module.forward([torch.zeros(1, 1, 8, 8)])
    module.write_etdump_result_to_file(str(tmp_path / "trace.etdump"))
    assert not (tmp_path / "trace.etdump").exists()
