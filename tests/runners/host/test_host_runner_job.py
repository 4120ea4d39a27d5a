"""The runner as a program: it gets a folder and leaves a reply, whatever happens."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.job import run_job, write_reply
from harness.runners.host.runtimes.registry import RUNTIMES
from harness.runners.host.runtimes.session import load_error
from harness.wire import Delegate, FailureKind, Format, InputsRef, OutputsPass, ReplyStatus, RunReply, decode_reply

CASES = [
    ("tflite_file", Format.TFLITE, Delegate.XNNPACK, "xnnpack"),
    ("tflite_file", Format.TFLITE, Delegate.CPU, "cpu"),
    ("onnx_file", Format.ONNX, Delegate.CPU, "cpu"),
    ("pte_file", Format.PTE, Delegate.CPU, "cpu"),
    ("pte_xnnpack_file", Format.PTE, Delegate.XNNPACK, "xnnpack"),
    ("ptl_file", Format.PTL, Delegate.CPU, "cpu"),
]


@pytest.mark.parametrize(("artifact", "format_", "delegate", "used"), CASES)
def test_a_job_runs_every_pass(
    artifact: str, format_: Format, delegate: Delegate, used: str, jobs: Any, zoo: Any, request: pytest.FixtureRequest
) -> None:
    job = jobs.make(request.getfixturevalue(artifact), format_, delegate, threads=2)
    reply = job.run()
    assert (reply.status, reply.failure, reply.cell, reply.launch) == (ReplyStatus.OK, None, "cell", 2)
    np.testing.assert_allclose(job.outputs(), zoo.expected, atol=1e-5)
    assert reply.runtime is not None
    assert (reply.runtime.delegate_used, reply.runtime.threads) == (used, 2)
    _check_passes(reply)
    assert reply.profile_facts is not None
    assert any(operator.samples_ns for operator in reply.profile) == (format_ is not Format.PTE)
    assert not (job.folder / "reply.json.tmp").exists()


def _check_passes(reply: RunReply) -> None:
    assert reply.latency is not None
    assert (len(reply.latency.warmup_ns), len(reply.latency.samples_ns)) == (2, 5)
    assert reply.memory is not None
    assert (reply.memory.steady_bytes or 0) > 0
    assert reply.outputs is not None
    assert (reply.outputs.count, reply.outputs.tensors[0].shape) == (4, (1, 10))
    # The memory pass released the model, so the outputs needed a second load.
    assert reply.load is not None
    assert len(reply.load.warm_ns) == 1
    assert reply.state is not None
    assert reply.state.after.at_ns > reply.state.before.at_ns


def test_a_quantised_model_takes_and_gives_real_values(jobs: Any, zoo: Any, tflite_int8_file: Path) -> None:
    job = jobs.make(tflite_int8_file, Format.TFLITE, Delegate.XNNPACK)
    reply = job.run()
    assert reply.outputs is not None
    assert reply.outputs.tensors[0].dtype == "float32"
    error = job.outputs() - zoo.expected
    assert 10 * np.log10((zoo.expected**2).sum() / (error**2).sum()) > 10


def test_a_pass_that_was_not_asked_for_is_none(jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    passes = replace(job.request.passes, latency=None, memory=None, profile=None)
    reply = run_job(job.rewrite(replace(job.request, passes=passes)).folder)
    assert (reply.status, reply.latency, reply.memory, reply.profile) == (ReplyStatus.OK, None, None, ())
    assert reply.load is not None
    assert reply.load.warm_ns == ()


@pytest.mark.parametrize(
    ("artifact", "format_", "delegate"),
    [
        ("onnx_file", Format.ONNX, Delegate.XNNPACK),
        ("onnx_file", Format.ONNX, Delegate.GPU),
        ("tflite_file", Format.TFLITE, Delegate.NNAPI),
        ("ptl_file", Format.PTL, Delegate.XNNPACK),
    ],
)
def test_a_delegate_that_this_build_lacks_is_unsupported(
    artifact: str, format_: Format, delegate: Delegate, jobs: Any, request: pytest.FixtureRequest
) -> None:
    reply = run_job(jobs.make(request.getfixturevalue(artifact), format_, delegate).folder)
    assert reply.status is ReplyStatus.UNSUPPORTED
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.DELEGATE
    assert f"no {delegate.value} delegate" in reply.failure.message
    assert "cpu" in reply.failure.message


@pytest.mark.parametrize(("format_", "delegate"), [(f, Delegate.CPU) for f in RUNTIMES])
def test_a_corrupt_file_is_a_load_failure(format_: Format, delegate: Delegate, jobs: Any, tmp_path: Path) -> None:
    broken = tmp_path / f"broken.{format_.value}"
    broken.write_bytes(b"\0not a model" * 100)
    reply = run_job(jobs.make(broken, format_, delegate).folder)
    assert reply.status is ReplyStatus.FAILED
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.LOAD
    assert repr(broken.name) in reply.failure.message


def failure_of(folder: Path) -> tuple[FailureKind, str]:
    reply = run_job(folder)
    assert reply.failure is not None
    return reply.failure.kind, reply.failure.message


def test_another_artifact_than_asked_is_not_loaded(jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    with (job.folder / onnx_file.name).open("ab") as file:
        file.write(b"\0")
    kind, message = failure_of(job.folder)
    assert kind is FailureKind.DIGEST
    assert job.request.artifact.sha256 in message


def test_a_missing_artifact_is_said(jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    (job.folder / onnx_file.name).unlink()
    assert failure_of(job.folder)[0] is FailureKind.DIGEST


@pytest.mark.parametrize("length", [0, 1023, 1025])
def test_inputs_of_another_length_are_refused(length: int, jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    (job.folder / "inputs.bin").write_bytes(bytes(length))
    kind, message = failure_of(job.folder)
    assert kind is FailureKind.INPUT
    assert f"{length} bytes" in message
    assert "1024" in message


def test_more_outputs_than_inputs_are_refused(jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    passes = replace(job.request.passes, outputs=OutputsPass(count=5))
    assert failure_of(job.rewrite(replace(job.request, passes=passes)).folder)[0] is FailureKind.INPUT


@pytest.mark.parametrize(
    ("artifact", "format_"), [("onnx_file", Format.ONNX), ("tflite_file", Format.TFLITE), ("pte_file", Format.PTE)]
)
def test_inputs_of_another_shape_are_refused(
    artifact: str, format_: Format, jobs: Any, request: pytest.FixtureRequest
) -> None:
    job = jobs.make(request.getfixturevalue(artifact), format_, Delegate.CPU)
    wrong = replace(job.request.inputs.tensors[0], shape=(1, 1, 4, 16))
    inputs = InputsRef(file="inputs.bin", count=4, tensors=(wrong,))
    kind, message = failure_of(job.rewrite(replace(job.request, inputs=inputs)).folder)
    assert kind is FailureKind.INPUT
    assert "[1, 1, 4, 16]" in message
    assert "[1, 1, 8, 8]" in message


def test_inputs_with_another_digest_are_refused(jobs: Any, tflite_file: Path) -> None:
    job = jobs.make(tflite_file, Format.TFLITE, Delegate.CPU)
    right = hashlib.sha256((job.folder / "inputs.bin").read_bytes()).hexdigest()
    named = replace(job.request, inputs=replace(job.request.inputs, sha256=right))
    assert run_job(job.rewrite(named).folder).status is ReplyStatus.OK
    other = replace(job.request, inputs=replace(job.request.inputs, sha256="0" * 64))
    kind, message = failure_of(job.rewrite(other).folder)
    assert kind is FailureKind.INPUT
    assert f"'inputs.bin' have sha256 {right}; the request expects {'0' * 64}" in message


def test_a_call_that_fails_is_a_run_failure_and_keeps_the_load(jobs: Any, ptl_file: Path) -> None:
    job = jobs.make(ptl_file, Format.PTL, Delegate.CPU)
    wrong = replace(job.request.inputs.tensors[0], shape=(1, 1, 4, 8))
    inputs = InputsRef(file="inputs.bin", count=4, tensors=(wrong,))
    (job.folder / "inputs.bin").write_bytes(bytes(512))
    reply = run_job(job.rewrite(replace(job.request, inputs=inputs)).folder)
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.RUN
    assert reply.load is not None


def test_options_that_a_runtime_does_not_know_are_refused(jobs: Any, tflite_file: Path) -> None:
    job = jobs.make(tflite_file, Format.TFLITE, Delegate.CPU)
    runtime = replace(job.request.runtime, options={"speed": "high"})
    kind, message = failure_of(job.rewrite(replace(job.request, runtime=runtime)).folder)
    assert kind is FailureKind.INPUT
    assert "'speed'" in message


def test_a_request_of_another_schema_is_answered_with_both_versions(jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    head = json.loads((job.folder / "request.json").read_bytes())
    (job.folder / "request.json").write_text(json.dumps(head | {"schema": 99}))
    reply = run_job(job.folder)
    assert (reply.cell, reply.launch, reply.status) == ("cell", 2, ReplyStatus.FAILED)
    assert reply.failure is not None
    assert "schema 99" in reply.failure.message
    assert "schema 1" in reply.failure.message


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 1', b"\xff"])
def test_a_request_that_cannot_be_read_is_answered(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_bytes(content)
    assert failure_of(tmp_path)[0] is FailureKind.INPUT


def test_outputs_that_cannot_be_written_are_a_storage_failure(jobs: Any, onnx_file: Path) -> None:
    job = jobs.make(onnx_file, Format.ONNX, Delegate.CPU)
    (job.folder / "outputs.bin").mkdir()
    reply = run_job(job.folder)
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.STORAGE
    assert reply.latency is not None


def test_the_reply_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "reply.json").write_bytes(b"old")
    write_reply(tmp_path, run_job(tmp_path))
    assert decode_reply((tmp_path / "reply.json").read_bytes()).status is ReplyStatus.FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["reply.json"]


@pytest.mark.parametrize("arguments", [[], ["no such folder"], ["a", "b"]])
def test_wrong_arguments_are_reported_on_standard_error(arguments: list[str]) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "harness.runners.host", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


@pytest.mark.parametrize(("artifact", "format_"), [("onnx_file", Format.ONNX), ("tflite_file", Format.TFLITE)])
def test_the_runner_stays_lean(artifact: str, format_: Format, jobs: Any, request: pytest.FixtureRequest) -> None:
    job = jobs.make(request.getfixturevalue(artifact), format_, Delegate.CPU)
    code = (
        "import sys; from pathlib import Path; from harness.runners.host.__main__ import main;"
        "main([sys.argv[1]]); print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code, str(job.folder)], cwd=root, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.splitlines())
    assert decode_reply((job.folder / "reply.json").read_bytes()).status is ReplyStatus.OK
    assert not {"torch", "onnx", "executorch", "tensorflow", "psutil", "click", "pandas"} & loaded
    own = {name for name in loaded if name.startswith("harness") and not name.startswith("harness.runners.host")}
    wire = {f"harness.wire.{name}" for name in ("codec", "names", "reply", "request", "tensors")}
    assert own == {
        "harness",
        "harness.runners",
        "harness.wire",
        "harness.system",
        "harness.system.child_process",
        "harness.system.decoding",
        *wire,
    }


def test_a_format_without_a_runtime_here_is_unsupported(jobs: Any, tmp_path: Path) -> None:
    package = tmp_path / "model.mlpackage.zip"
    package.write_bytes(b"zip")
    reply = run_job(jobs.make(package, Format.MLPACKAGE, Delegate.COREML).folder)
    assert reply.status is ReplyStatus.UNSUPPORTED
    assert "no runtime for mlpackage" in (reply.failure.message if reply.failure else "")


def test_a_long_complaint_of_native_code_keeps_its_end_which_says_what() -> None:
    message = str(load_error(Path("net.onnx"), "onnxruntime", RuntimeError("at/the/place" * 40 + " no such operator")))
    assert message.startswith("onnxruntime cannot load 'net.onnx': at/the/place")
    assert message.endswith(" no such operator")
    assert len(message) < 360
