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
from harness.artifacts.verify.verify import VERIFIED_INPUTS, Expected, VerificationResult, verify
from harness.model.card import ModelOptions, Task
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.wire import Delegate, Format
from tests.artifacts.builders import CARD, Floats, make_prepared, onnx_file

SCORES = np.array([[10.0, 10.1], [3.0, 3.1]], dtype=np.float32)


def judge(
    folder: Path, operator: str, operand: list[Any], *, reference: Floats = SCORES, **card: Any
) -> VerificationResult:
    """Verify a file made by `onnx_file`; the float network is the identity."""
    model = make_prepared(folder / "model", reference)
    path = onnx_file(folder / "net.onnx", operator, np.array(operand), (1, reference.shape[1]))
    return verify(path, Format.ONNX, Delegate.CPU, Expected(model=model, card=replace(CARD, **card)))


def test_equal_outputs_are_ready(tmp_path: Path) -> None:
    seen = judge(tmp_path, "Mul", [1, 1])
    assert (seen.state, seen.reason, seen.agreement, seen.inputs) == (ArtifactState.READY, None, 1.0, 2)
    assert seen.sqnr_db == 200


def test_the_ratio_is_that_of_the_outputs(tmp_path: Path) -> None:
    assert judge(tmp_path, "Mul", [1.1, 1.1]).sqnr_db == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize(
    ("operator", "operand", "words"),
    [
        ("Mul", [-1, -1], "-6.0 dB signal to noise against the float model; the minimum is 5 dB"),
        ("Mul", [2, 2], "0.0 dB signal to noise"),
        ("Mul", [0, 0], "0.0 dB signal to noise"),
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
    seen = verify(artifact.path, Format.ONNX, Delegate.CPU, Expected(model=model, card=card))
    assert (seen.sqnr_db, seen.agreement) == (artifact.manifest.sqnr_db, artifact.manifest.agreement)
    assert 10 < (seen.sqnr_db or 0) < 60
