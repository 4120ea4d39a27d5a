"""Verification: a file is ready only if its own runtime gives finite outputs close to the float network's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.cache import Cache
from harness.artifacts.manifest import ArtifactState
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.artifacts.verify.verify import VERIFIED_INPUTS, Expected, VerificationResult, chosen_rows, verify
from harness.model.card import ModelOptions, Task
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.records.conditions import ConditionId
from harness.spec.recipe import Precision
from harness.wire import Delegate, DType, Format, TensorSpec
from harness.wire.tensors import write_tensors
from tests.artifacts.builders import CARD, Floats, make_prepared, onnx_file

# Exporters warn of what they call themselves.
pytestmark = pytest.mark.filterwarnings("ignore")

SCORES = np.array([[10.0, 10.1], [3.0, 3.1]], dtype=np.float32)


def judge(
    folder: Path,
    operator: str,
    operand: list[Any],
    *,
    reference: Floats = SCORES,
    precision: Precision = Precision.INT8,
    **card: Any,
) -> VerificationResult:
    """Verify a file made by `onnx_file`; the float network is the identity."""
    model = make_prepared(folder / "model", reference)
    path = onnx_file(folder / "net.onnx", operator, np.array(operand), (1, reference.shape[1]))
    expected = Expected(model=model, card=replace(CARD, **card), precision=precision)
    return verify(path, Format.ONNX, Delegate.CPU, expected)


def test_equal_outputs_are_ready(tmp_path: Path) -> None:
    seen = judge(tmp_path, "Mul", [1, 1])
    assert (seen.state, seen.reason, seen.agreement, seen.inputs) == (ArtifactState.READY, None, 1.0, 2)
    assert seen.sqnr_db == 200


def test_the_ratio_is_that_of_the_outputs(tmp_path: Path) -> None:
    assert judge(tmp_path, "Mul", [1.1, 1.1]).sqnr_db == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize(
    ("operator", "operand", "words"),
    [
        ("Mul", [-1, -1], "-6.0 dB signal to noise against the float model; the minimum is 5 dB in int8"),
        ("Mul", [2, 2], "0.0 dB signal to noise"),
        ("Mul", [0, 0], "output_0 is the same for every input; the float model's is not"),
        ("Add", [0.2, 0], "its top-1 agrees with the float model on 0% of 2 inputs"),
        ("Div", [0, 1], "2 of 4 output values are NaN or infinite"),
        ("Mul", [np.nan, np.nan], "4 of 4 output values are NaN or infinite"),
        ("MatMul", [[1], [1]], "its outputs have shapes [(1, 1)]; the float model has [(1, 2)]"),
    ],
)
def test_garbage_is_broken_with_a_reason(tmp_path: Path, operator: str, operand: list[Any], words: str) -> None:
    seen = judge(tmp_path, operator, operand)
    assert seen.state is ArtifactState.BROKEN
    assert words in (seen.reason or "")


def test_what_is_no_classification_has_no_agreement(tmp_path: Path) -> None:
    seen = judge(tmp_path, "Add", [0.2, 0], task=Task.REGRESSION)
    assert (seen.state, seen.agreement) == (ArtifactState.READY, None)


@pytest.mark.parametrize(
    ("operator", "operand", "state"),
    [
        ("Mul", [1.7, 1.7], ArtifactState.READY),
        ("Add", [0.2, 0], ArtifactState.READY),
        ("Mul", [2.1, 2.1], ArtifactState.BROKEN),
    ],
)
def test_untrained_weights_are_refused_for_noise_above_the_signal_alone(
    tmp_path: Path, operator: str, operand: list[float], state: ArtifactState
) -> None:
    assert judge(tmp_path, operator, operand, random_weights=True).state is state


def test_the_worst_output_of_several_counts(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", SCORES)
    twice = replace(model.facts, outputs=model.facts.outputs * 2)
    (model.folder / "reference.bin").write_bytes(np.stack([SCORES, -SCORES], axis=1).tobytes())
    path = _two_outputs(tmp_path / "net.onnx")
    seen = verify(
        path, Format.ONNX, Delegate.CPU, Expected(model=PreparedModel(facts=twice, folder=model.folder), card=CARD)
    )
    assert seen.state is ArtifactState.BROKEN
    assert seen.sqnr_db == pytest.approx(-6.02, abs=0.01)


def _two_outputs(path: Path) -> Path:
    """A file that returns its input twice."""
    import onnx

    model = onnx.load(str(onnx_file(path, "Mul", np.ones(2, dtype=np.float32))))
    model.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["z"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_file_that_its_runtime_refuses_is_broken(tmp_path: Path, content: bytes | None) -> None:
    path = onnx_file(tmp_path / "net.onnx", "Mul", np.ones(2, dtype=np.float32))
    path.write_bytes(path.read_bytes()[:40] if content is None else content)
    seen = verify(path, Format.ONNX, Delegate.CPU, Expected(model=make_prepared(tmp_path / "model", SCORES), card=CARD))
    assert seen.state is ArtifactState.BROKEN
    assert "does not run in its own runtime: onnxruntime cannot load 'net.onnx'" in (seen.reason or "")


def test_a_file_that_takes_another_input_is_broken(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx", "Mul", np.ones(3, dtype=np.float32), (1, 3))
    seen = verify(path, Format.ONNX, Delegate.CPU, Expected(model=make_prepared(tmp_path / "model", SCORES), card=CARD))
    assert "input 'x' of the model is float32 [1, 3], but got float32 [1, 2]" in (seen.reason or "")


def test_every_digits_artifact_passed_the_gate_on_sixty_four_inputs(built_cache: Path) -> None:
    card = resolve("digits", ModelOptions())
    cache = Cache(built_cache)
    found = [cache.artifact(folder.name) for folder in (cache.root / "artifacts").glob("*/*")]
    manifests = [artifact.manifest for artifact in found if artifact is not None]
    assert len(manifests) == 16
    assert {m.state for m in manifests} == {ArtifactState.READY}
    assert {m.gate_inputs for m in manifests} == {VERIFIED_INPUTS}
    assert all(m.agreement is not None and m.agreement > 0.9 for m in manifests)
    model = cache.entry("prepared", source_key(card), read_prepared)
    assert model is not None
    assert model.facts.test_count > VERIFIED_INPUTS


def test_the_file_of_another_variant_is_close_and_not_equal(built_cache: Path) -> None:
    card = resolve("digits", ModelOptions())
    cache = Cache(built_cache)
    model = cache.entry("prepared", source_key(card), read_prepared)
    found = [cache.artifact(folder.name) for folder in (cache.root / "artifacts").glob("*/*")]
    requested = ("onnx", "int8")
    artifact = next(a for a in found if a and (a.manifest.format, a.manifest.variant) == requested)
    assert model is not None
    assert artifact.path is not None
    seen = verify(artifact.path, Format.ONNX, Delegate.CPU, Expected(model=model, card=card, precision=Precision.INT8))
    assert (seen.sqnr_db, seen.agreement) == (artifact.manifest.sqnr_db, artifact.manifest.agreement)
    assert 10 < (seen.sqnr_db or 0) < 60


# The identity on 40 inputs; input i is (i + 1, -i), so that no two are alike.
FORTY = np.array([[i + 1, -i] for i in range(40)], dtype=np.float32)


def branching(folder: Path, *, wrong: int, precision: Precision) -> VerificationResult:
    """Verify the file that `branching_file` writes."""
    path, model = branching_file(folder, wrong=wrong), make_prepared(folder / "model", FORTY)
    card = replace(CARD, task=Task.REGRESSION)
    return verify(path, Format.ONNX, Delegate.CPU, Expected(model=model, card=card, precision=precision))


def branching_file(folder: Path, *, wrong: int, error: float = -1.0) -> Path:
    """Write a file that is right on the first of 40 inputs and gives ``error`` times the last ``wrong``."""
    import onnx

    make, constant = onnx.helper, onnx.numpy_helper.from_array
    nodes = [
        # The first column: starts, ends, axes.
        make.make_node("Slice", ["x", "zero", "one", "one"], ["first"]),
        make.make_node("Greater", ["first", "limit"], ["late"]),
        make.make_node("Where", ["late", "error", "right"], ["factor"]),
        make.make_node("Mul", ["x", "factor"], ["y"]),
    ]
    numbers = {"limit": 40 - wrong + 0.5, "error": error, "right": 1.0}
    constants = [constant(np.array([[value]], dtype=np.float32), name) for name, value in numbers.items()]
    constants += [constant(np.array([value]), name) for name, value in (("zero", 0), ("one", 1))]
    x, y = (make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy")
    graph = make.make_graph(nodes, "net", [x], [y], constants)
    path = folder / "net.onnx"
    path.write_bytes(
        make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )
    return path


def test_a_float_file_that_is_wrong_on_17_of_40_inputs_is_broken_although_the_median_is_exact(tmp_path: Path) -> None:
    seen = branching(tmp_path, wrong=17, precision=Precision.FP32)
    assert seen.state is ArtifactState.BROKEN
    assert "17 of 40 inputs differ from the float model (median 200.0 dB, worst -6.0 dB on input" in (seen.reason or "")
    assert (seen.sqnr_db, seen.differing) == (200, 17)


def test_one_wrong_input_is_enough_for_a_float_file(tmp_path: Path) -> None:
    seen = branching(tmp_path, wrong=1, precision=Precision.FP32)
    assert "1 of 40 inputs differs from the float model" in (seen.reason or "")
    assert seen.worst_input == 39


@pytest.mark.parametrize(("wrong", "state"), [(4, ArtifactState.READY), (5, ArtifactState.BROKEN)])
def test_an_int8_file_may_have_outliers_and_names_them(tmp_path: Path, wrong: int, state: ArtifactState) -> None:
    seen = branching(tmp_path, wrong=wrong, precision=Precision.INT8)
    assert seen.state is state
    differ = [c.summary for c in seen.conditions if c.id is ConditionId.INPUTS_DIFFER]
    assert bool(differ) is (state is ArtifactState.READY)
    if differ:
        assert "4 of 40 inputs differ" in differ[0]


@pytest.mark.parametrize(
    ("precision", "works", "fails"),
    [
        (Precision.FP32, 1.001, 1.01),
        (Precision.FP16, 1.05, 1.2),
        (Precision.BF16, 1.2, 1.5),
        (Precision.INT8, 1.5, 1.6),
        (Precision.INT8_DYNAMIC, 1.3, 1.5),
        (Precision.INT4_WEIGHT, 1.6, 1.8),
    ],
)
def test_each_precision_has_its_own_limit(tmp_path: Path, precision: Precision, works: float, fails: float) -> None:
    # A factor of 1 + e has -20·log10(e) dB: 1.001 has 60, 1.01 has 40, 1.05 has 26, 1.5 has 6.
    for factor, state in ((works, ArtifactState.READY), (fails, ArtifactState.BROKEN)):
        operand = [factor, factor]
        seen = judge(tmp_path, "Mul", operand, reference=FORTY, precision=precision, task=Task.REGRESSION)
        assert seen.state is state, factor


def test_random_weights_excuse_no_float_file(tmp_path: Path) -> None:
    seen = judge(tmp_path, "Mul", [1.4, 1.4], reference=FORTY, precision=Precision.FP32, random_weights=True)
    assert seen.state is ArtifactState.BROKEN


def test_a_result_near_zero_does_not_condemn_its_input(tmp_path: Path) -> None:
    # Rounding follows the numbers inside a network: an error of 1e-6 is right beside results of 10, even on input 0.
    reference = np.array([[1e-6, 0], *([10, -i] for i in range(1, 30))], dtype=np.float32)
    seen = judge(tmp_path, "Add", [1e-6, 0], reference=reference, precision=Precision.FP32, task=Task.REGRESSION)
    assert seen.state is ArtifactState.READY
    assert seen.sqnr_min_db == pytest.approx(0, abs=0.1)


def test_equal_infinities_are_equal_and_named_as_the_models_own(tmp_path: Path) -> None:
    reference = np.array([[-np.inf, 1.0], [-np.inf, 3.0], [-np.inf, -2.0]], dtype=np.float32)
    seen = judge(tmp_path, "Mul", [1, 1], reference=reference, precision=Precision.FP32)
    assert (seen.state, seen.sqnr_db) == (ArtifactState.READY, 200)
    assert [c.id for c in seen.conditions] == [ConditionId.NON_FINITE]
    assert "the float model itself has 3 of 6 values of output_0 NaN or infinite" in seen.conditions[0].summary


def test_an_infinity_that_the_file_does_not_have_is_named(tmp_path: Path) -> None:
    reference = np.array([[-np.inf, 1.0], [-np.inf, 3.0]], dtype=np.float32)
    seen = judge(tmp_path, "Max", [-9, -9], reference=reference)
    assert "2 of 4 values of output_0 are NaN or infinite in the float model and other values in this file" in (
        seen.reason or ""
    )


@pytest.mark.parametrize("reference", [np.zeros((5, 2)), np.full((5, 2), 7.0), 7 + 1e-4 * FORTY[:5]])
def test_a_model_that_hardly_depends_on_its_input_gets_no_figures(tmp_path: Path, reference: Floats) -> None:
    seen = judge(tmp_path, "Mul", [1, 1], reference=reference.astype(np.float32))
    assert (seen.state, seen.sqnr_db, seen.agreement) == (ArtifactState.READY, None, None)
    assert [c.id for c in seen.conditions] == [ConditionId.CONSTANT_OUTPUT]


def test_a_file_of_an_untrained_network_that_gives_zeros_gets_a_dash_and_a_condition(tmp_path: Path) -> None:
    seen = judge(tmp_path, "Mul", [0, 0], reference=5e-10 * FORTY, random_weights=True)
    assert (seen.state, seen.sqnr_db) == (ArtifactState.READY, None)
    assert "the same for every input in this file, and not in the float model" in seen.conditions[0].summary


def test_inputs_of_the_gate_are_spread_over_the_test_split() -> None:
    assert chosen_rows(40) == tuple(range(40))
    rows = chosen_rows(1_000)
    assert (len(rows), len(set(rows)), rows[0], rows[-1]) == (VERIFIED_INPUTS, VERIFIED_INPUTS, 0, 999)


def test_integer_outputs_are_named_and_not_compared(tmp_path: Path) -> None:
    seen = verify_with_indices(tmp_path)
    assert (seen.state, seen.sqnr_db) == (ArtifactState.READY, 200)
    (condition,) = seen.conditions
    assert condition.id is ConditionId.NOT_COMPARED
    assert "output_1 (int64)" in condition.summary


def verify_with_indices(folder: Path) -> VerificationResult:
    """Verify a file that returns its input, and indices that are never those of the float model."""
    import onnx

    path = onnx_file(folder / "net.onnx", "Mul", np.ones(2, dtype=np.float32))
    graph = onnx.load(str(path))
    graph.graph.node.append(onnx.helper.make_node("ArgMax", ["x"], ["z"], axis=-1, keepdims=1))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.INT64, None))
    path.write_bytes(graph.SerializeToString())
    model = make_prepared(folder / "model", FORTY)
    indices = TensorSpec(name="output_1", dtype=DType.INT64, shape=(1, 1))
    facts = replace(model.facts, outputs=(*model.facts.outputs, indices))
    wrong = np.full((40, 1, 1), 9, dtype=np.int64)
    write_tensors(model.folder / "reference.bin", [FORTY[:, None], wrong], facts.outputs)
    return verify(
        path, Format.ONNX, Delegate.CPU, Expected(model=PreparedModel(facts=facts, folder=model.folder), card=CARD)
    )


@pytest.fixture(scope="module")
def clamped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreparedModel]:
    """A static int8 ``.ptl`` of a clamp that qnnpack's kernel computes wrongly, and the float outputs."""
    import torch
    from torch import nn
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    folder = tmp_path_factory.mktemp("clamped")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Hardtanh(0, 0.5), nn.Flatten()).eval()
    inputs = np.random.default_rng(0).standard_normal((8, 1, 1, 6, 6), dtype=np.float32)
    # By torch itself, because our own exporter avoids such a clamp.
    mapping = get_default_qconfig_mapping("qnnpack")
    example = (torch.from_numpy(inputs[0]),)
    prepared = prepare_fx(network, mapping, example)
    for x in inputs:
        prepared(torch.from_numpy(x))
    torch.jit.trace(convert_fx(prepared), example)._save_for_lite_interpreter(str(folder / "net.ptl"))
    with torch.no_grad():
        outputs = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    model = make_prepared(folder / "model", outputs[:, 0])
    facts = replace(model.facts, inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 1, 6, 6)),))
    write_tensors(model.folder / "inputs.bin", [inputs], facts.inputs)
    return folder / "net.ptl", PreparedModel(facts=facts, folder=model.folder)


def test_a_wrong_kernel_of_this_computer_is_told_from_a_wrong_file(clamped: tuple[Path, PreparedModel]) -> None:
    import torch

    if not {"qnnpack", "onednn"} <= set(torch.backends.quantized.supported_engines):
        pytest.skip("this torch has only one of the two engines")
    path, model = clamped
    # The runtime itself, called by the test, says which engine is right.
    sqnr = {engine: _sqnr_under(engine, path, model) for engine in ("qnnpack", "onednn")}
    assert sqnr["onednn"] > sqnr["qnnpack"] + 6
    card = replace(CARD, task=Task.REGRESSION)
    seen = verify(path, Format.PTL, Delegate.CPU, Expected(model=model, card=card, precision=Precision.INT8))
    assert seen.state is ArtifactState.READY
    (condition,) = [c for c in seen.conditions if c.id is ConditionId.HOST_KERNEL]
    assert f"with the engine onednn the file is {sqnr['onednn']:.1f} dB" in condition.summary


def _sqnr_under(engine: str, path: Path, model: PreparedModel) -> float:
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    usual, torch.backends.quantized.engine = torch.backends.quantized.engine, engine
    try:
        module = _load_for_lite_interpreter(str(path))
        outputs = np.stack([module(torch.from_numpy(x.copy())).numpy() for x in model.test_inputs()[0]])
    finally:
        torch.backends.quantized.engine = usual
    reference = model.reference()
    assert reference is not None
    expected = reference[0].reshape(outputs.shape)
    ratios = [10 * np.log10((e**2).sum() / ((e - o) ** 2).sum()) for e, o in zip(expected, outputs, strict=True)]
    return float(np.median(ratios))


def test_inputs_that_rounding_alone_changes_may_differ_in_a_float_file(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", FORTY, unstable=0.05)
    card = replace(CARD, task=Task.REGRESSION)
    for wrong, state in ((5, ArtifactState.READY), (6, ArtifactState.BROKEN)):
        path = branching_file(tmp_path, wrong=wrong)
        seen = verify(path, Format.ONNX, Delegate.CPU, Expected(model=model, card=card))
        assert seen.state is state, wrong
