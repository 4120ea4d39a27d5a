"""The iOS runner in Swift: it is built, tested and checked here, and its adapters run real files beside the host's."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.runtimes.registry import open_session, run_once
from harness.runners.host.runtimes.tflite import describe
from harness.wire import (
    Delegate,
    DType,
    FailureKind,
    Format,
    MemoryMoment,
    OutputsPass,
    ReplyStatus,
    RuntimeRequest,
)
from tests.conftest import call_python
from tests.ios_runner.jobs import ALL_PASSES, Asked, Documents, Job
from tests.ios_runner.swift import (
    LIBRARIES,
    RUNNER,
    building,
    built_desktop,
    desktop_command,
    loaded,
    missing_for_swift,
    swift,
)

Files = dict[tuple[str, str], Path]
ROOT = Path(__file__).parents[2]
MISSING = missing_for_swift()
# The libraries are for Linux on x86-64; other computers cannot run these tests at all.
ELSEWHERE = MISSING.startswith("Linux")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=MISSING if ELSEWHERE else f"missing: {MISSING}"),
]


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    return Documents(tmp_path)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    """Sixty real digits of shape (60, 1, 1, 8, 8), and their classes."""
    with np.load(ROOT / "models/digits/digits.npz") as arrays:
        images, labels = arrays["images"][:60], arrays["labels"][:60]
    return (images.astype(np.float32) / 16).reshape(-1, 1, 1, 8, 8), labels


def test_every_test_in_swift_passes() -> None:
    desktop_command()
    made = call_python("-m", "tests.ios_runner.package", str(RUNNER / ".build/package"), cwd=RUNNER)
    assert made.code == 0, made.err
    with building():
        done = swift("test", "--parallel")
    assert done.returncode == 0, done.stdout
    assert "error:" not in done.stdout
    assert "skipped" not in done.stdout


def test_the_sources_are_formatted() -> None:
    done = swift("format", "lint", "--strict", "--recursive", "Sources", "Tests", "Package.swift")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_loop_allocates_nothing(digits_files: Files) -> None:
    """Between the first and the last of sixty thousand timed calls, counted by the program's own malloc."""
    built_desktop()
    program = RUNNER / ".build/release/loopcost"
    command = loaded(program, str(LIBRARIES / "linux"), str(digits_files["onnx", "fp32"]))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    facts = dict(pair.split("=") for pair in lines["nothing"].split())
    assert (facts["calls"], facts["allocations"]) == ("60000", "0")
    # The counter works: ONNX Runtime allocates in every call.
    assert int(dict(pair.split("=") for pair in lines["bare"].split())["allocations"]) > 60_000


def on_the_host(file: Path, format_: Format, delegate: Delegate, arrays: Any) -> Any:
    """What the host's runtime gives for the same inputs."""
    session = open_session(file, RuntimeRequest(delegate=delegate, threads=1), format_)
    outputs = [run_once(session, [array])[0] for array in arrays]
    session.close()
    return np.stack(outputs)


# The releases of the runtimes here are others than the host's, which round differently in the middle of a network in
# fp16. Their kernels for dynamic int8 round the inputs of each layer elsewhere.
@pytest.mark.parametrize(
    ("format_", "variant", "delegate", "atol"),
    [
        (Format.ONNX, "fp32", Delegate.CPU, 1e-5),
        (Format.ONNX, "fp16", Delegate.CPU, 2e-2),
        (Format.ONNX, "int8", Delegate.CPU, 1e-5),
        (Format.ONNX, "int8-dynamic", Delegate.CPU, 1e-5),
        (Format.TFLITE, "fp32", Delegate.CPU, 1e-5),
        (Format.TFLITE, "fp32", Delegate.XNNPACK, 1e-5),
        (Format.TFLITE, "fp16", Delegate.XNNPACK, 1e-5),
        (Format.TFLITE, "int8", Delegate.CPU, 1e-5),
        (Format.TFLITE, "int8-dynamic", Delegate.CPU, 0.2),
        (Format.TFLITE, "int8-dynamic", Delegate.XNNPACK, 0.2),
    ],
)
def test_outputs_are_those_of_the_host(
    documents: Documents,
    digits_files: Files,
    digits: tuple[Any, Any],
    format_: Format,
    variant: str,
    delegate: Delegate,
    atol: float,
) -> None:
    images, labels = digits
    file = digits_files[format_.value, variant]
    passes = replace(ALL_PASSES, outputs=OutputsPass(count=len(images)))
    job = documents.job(file, format_, [images], Asked(delegate=delegate, passes=passes))
    reply = job.run()
    assert reply.status is ReplyStatus.OK, reply.failure
    outputs = job.outputs()[0]
    np.testing.assert_allclose(outputs, on_the_host(file, format_, Delegate.CPU, images), atol=atol)
    # The bundled network has 97 % on the whole test set.
    assert np.mean(outputs.reshape(len(images), 10).argmax(axis=1) == labels) > 0.9


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, digits_files: Files, digits: tuple[Any, Any]) -> Job:
    """A job with every pass on TensorFlow Lite with XNNPACK, after its launch."""
    job = Documents(tmp_path_factory.mktemp("measured")).job(
        digits_files["tflite", "fp32"], Format.TFLITE, [digits[0]], Asked(delegate=Delegate.XNNPACK, threads=2)
    )
    job.run()
    return job


def test_a_launch_measures_what_was_asked(measured: Job) -> None:
    reply = measured.reply()
    assert (reply.cell, reply.launch, reply.runner.kind) == ("cell", 2, "ios-desktop")
    assert reply.latency is not None
    assert (len(reply.latency.warmup_ns), len(reply.latency.samples_ns)) == (2, 9)
    assert min(reply.latency.samples_ns) > 1_000
    assert reply.load is not None
    assert len(reply.load.warm_ns) == 1
    assert reply.state is not None
    assert reply.state.before.at_ns < (reply.latency.began_ns or 0) < reply.state.after.at_ns


def test_a_delegate_is_reported_with_the_nodes_that_it_took(measured: Job, digits_files: Files) -> None:
    runtime = measured.reply().runtime
    assert runtime is not None
    host = open_session(
        digits_files["tflite", "fp32"], RuntimeRequest(delegate=Delegate.XNNPACK, threads=1), Format.TFLITE
    ).report()
    assert (runtime.name, runtime.threads, runtime.delegate_used) == ("litert", 2, "xnnpack")
    assert (runtime.nodes_total, runtime.nodes_delegated, runtime.partitions) == (
        host.nodes_total,
        host.nodes_delegated,
        host.partitions,
    )


def test_memory_is_that_of_the_process(documents: Documents, digits_files: Files, tmp_path: Path) -> None:
    """A file with 64 MiB of weights shows them while it is loaded, and no longer after the release."""
    import onnx

    model = onnx.load(digits_files["onnx", "fp32"])
    ballast = np.random.default_rng(0).standard_normal(16 << 20, dtype=np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(ballast, "ballast"))
    end = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["ballast"], ["most"], keepdims=0))
    model.graph.node.append(onnx.helper.make_node("Min", [end, "most"], ["with_ballast"]))
    model.graph.output[0].name = "with_ballast"
    onnx.save(model, tmp_path / "big.onnx")
    passes = replace(ALL_PASSES, latency=None, profile=None, outputs=None)
    # Without optimisation, which would compute the maximum at the load and drop the weights.
    options = (("session.disable_prepacking", "1"), ("optimization.disable_specified_optimizers", "ConstantFolding"))
    image = np.zeros((1, 1, 1, 8, 8), dtype=np.float32)
    asked = Asked(passes=passes, options=options)
    memory = documents.job(tmp_path / "big.onnx", Format.ONNX, [image], asked).run().memory
    assert memory is not None
    assert "RssAnon + VmSwap" in memory.definition
    assert [split.at for split in memory.split] == list(MemoryMoment)
    baseline = memory.baseline_bytes or 0
    assert baseline > 10**6
    assert (memory.loaded_bytes or 0) - baseline > 60 << 20
    assert (memory.steady_bytes or 0) - baseline > 60 << 20
    assert (memory.retained_bytes or 0) - baseline < 16 << 20
    assert memory.peak_bytes is None or memory.peak_bytes - baseline > 60 << 20


def test_weights_in_a_file_of_their_own_are_found(
    documents: Documents, digits_files: Files, digits: tuple[Any, Any], tmp_path: Path
) -> None:
    import onnx

    whole, file = digits_files["onnx", "fp32"], tmp_path / "model.onnx"
    onnx.save(onnx.load(whole), file, save_as_external_data=True, location="model.onnx.data", size_threshold=64)
    job = documents.job(file, Format.ONNX, [digits[0]], companions=[tmp_path / "model.onnx.data"])
    assert job.run().status is ReplyStatus.OK
    np.testing.assert_allclose(
        job.outputs()[0], on_the_host(whole, Format.ONNX, Delegate.CPU, digits[0][:4]), atol=1e-5
    )


def test_operators_are_timed(documents: Documents, digits_files: Files, digits: tuple[Any, Any]) -> None:
    reply = documents.job(digits_files["onnx", "fp32"], Format.ONNX, [digits[0]]).run()
    assert {"Conv", "Gemm"} <= {operator.kind for operator in reply.profile}
    assert {(len(operator.samples_ns), operator.ran_on) for operator in reply.profile} == {(2, "cpu")}
    assert reply.profile_facts is not None
    assert (reply.profile_facts.source, len(reply.profile_facts.calls_ns)) == ("onnxruntime 1.29.0", 2)


def test_int8_inputs_and_outputs_are_floats_on_the_wire(
    documents: Documents, digits_files: Files, digits: tuple[Any, Any]
) -> None:
    file = digits_files["tflite", "int8"]
    stored = describe(file, RuntimeRequest(delegate=Delegate.CPU, threads=1)).details()
    assert [detail["dtype"] for details in stored for detail in details] == [np.int8, np.int8]
    job = documents.job(file, Format.TFLITE, [digits[0]])
    outputs = job.run().outputs
    assert outputs is not None
    assert [spec.dtype for spec in outputs.tensors] == [DType.FLOAT32]


def broken(job: Job, change: str) -> None:
    """Spoil a job in one of many ways."""
    request = job.request
    store = job.documents / "phonebench/store"
    match change:
        case "artifact missing":
            (store / request.artifact.sha256).unlink()
        case "artifact changed":
            (store / request.artifact.sha256).write_bytes(b"not it")
        case "inputs changed":
            (store / request.inputs.sha256).write_bytes(bytes((store / request.inputs.sha256).stat().st_size))
        case "inputs short":
            job.rewrite(replace(request, inputs=replace(request.inputs, count=61)))
        case "too few inputs":
            job.rewrite(replace(request, passes=replace(request.passes, outputs=OutputsPass(count=999))))
        case "unknown option":
            job.rewrite(replace(request, runtime=replace(request.runtime, options={"speed": "more"})))
        case "delegate":
            job.rewrite(replace(request, runtime=replace(request.runtime, delegate=Delegate.NNAPI)))
        case "format":
            job.rewrite(replace(request, artifact=replace(request.artifact, format=Format.OTHER)))
        case "schema":
            job.rewrite(replace(request, schema=9))
        case "no request":
            (job.folder / "request.json").unlink()
        case "half a request":
            text = (job.folder / "request.json").read_text()
            (job.folder / "request.json").write_text(text[: len(text) // 2])
        case "shape":
            tensor = replace(request.inputs.tensors[0], shape=(1, 8, 8, 1))
            job.rewrite(replace(request, inputs=replace(request.inputs, tensors=(tensor,))))
        case "garbage":
            sha256 = hashlib.sha256(b"garbage").hexdigest()
            (store / sha256).write_bytes(b"garbage")
            job.rewrite(replace(request, artifact=replace(request.artifact, sha256=sha256)))
        case "truncated":
            half = (store / request.artifact.sha256).read_bytes()[:3000]
            (store / hashlib.sha256(half).hexdigest()).write_bytes(half)
            artifact = replace(request.artifact, sha256=hashlib.sha256(half).hexdigest())
            job.rewrite(replace(request, artifact=artifact))


@pytest.mark.parametrize(
    ("change", "status", "kind", "said"),
    [
        ("artifact missing", ReplyStatus.FAILED, FailureKind.DIGEST, "No such file or directory; deploy it again"),
        ("artifact changed", ReplyStatus.FAILED, FailureKind.DIGEST, "has sha256"),
        ("inputs changed", ReplyStatus.FAILED, FailureKind.INPUT, "push them again"),
        ("inputs short", ReplyStatus.FAILED, FailureKind.INPUT, "61 inputs of these tensors take 15616"),
        ("too few inputs", ReplyStatus.FAILED, FailureKind.INPUT, "has 60 inputs but needs 999"),
        ("unknown option", ReplyStatus.FAILED, FailureKind.INPUT, "takes no options here"),
        ("delegate", ReplyStatus.UNSUPPORTED, FailureKind.DELEGATE, "NNAPI exists on Android only"),
        ("format", ReplyStatus.UNSUPPORTED, FailureKind.LOAD, "this runner has no runtime for other"),
        ("schema", ReplyStatus.FAILED, FailureKind.INPUT, "schema 9, but this runner reads schema 1"),
        ("no request", ReplyStatus.FAILED, FailureKind.INPUT, "cannot read request.json"),
        ("half a request", ReplyStatus.FAILED, FailureKind.INPUT, "invalid JSON"),
        ("shape", ReplyStatus.FAILED, FailureKind.INPUT, "float32 [1, 1, 8, 8], but got float32 [1, 8, 8, 1]"),
        ("garbage", ReplyStatus.FAILED, FailureKind.LOAD, "not a TensorFlow Lite model"),
        ("truncated", ReplyStatus.FAILED, FailureKind.LOAD, "TensorFlow Lite"),
    ],
)
def test_what_is_wrong_becomes_a_reply_that_says_so(
    documents: Documents,
    digits_files: Files,
    digits: tuple[Any, Any],
    change: str,
    status: ReplyStatus,
    kind: FailureKind,
    said: str,
) -> None:
    job = documents.job(digits_files["tflite", "fp32"], Format.TFLITE, [digits[0]])
    broken(job, change)
    reply = job.run()
    assert reply.failure is not None
    assert (reply.status, reply.failure.kind) == (status, kind), reply.failure
    assert said in reply.failure.message
    assert reply.latency is None


def test_a_job_is_measured_once(measured: Job) -> None:
    before = (measured.folder / "reply.json").stat().st_mtime_ns
    assert measured.launch().returncode == 0
    assert (measured.folder / "reply.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--job is missing"),
        (["--job", "j"], "--inputs must be the sha256"),
        (["--job", "../j", "--inputs", "0" * 64], "must be a plain name"),
        (["--job", "j", "--inputs", "0" * 64], "--documents is missing"),
        (["--speed", "more"], "unknown argument '--speed'"),
    ],
)
def test_wrong_arguments_are_refused_with_the_usage(arguments: list[str], said: str) -> None:
    done = subprocess.run([*desktop_command(), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert "usage: desktop" in done.stderr
