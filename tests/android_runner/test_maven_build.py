"""The Java side: Maven compiles it, tests it and checks it against the API of Android 8; the host reads its replies."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from harness import __version__
from harness.runners.android.build import compiling
from harness.wire import (
    ArtifactRef,
    Delegate,
    DType,
    Format,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    OutputsPass,
    Passes,
    ProfilePass,
    ReplyStatus,
    RunReply,
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
    decode_reply,
    encode,
)
from harness.wire.tensors import read_tensors, write_tensors

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "android_runner"
POM = "{http://maven.apache.org/POM/4.0.0}"
MODEL = RUNNER / "onnxruntime/src/test/resources/open.onnx"
needs_maven = pytest.mark.skipif(shutil.which("mvn") is None, reason="missing: mvn")
needs_cc = pytest.mark.skipif(not Path("/usr/bin/cc").exists(), reason="missing: cc; apt-get install gcc libc6-dev")
only_on_linux = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the library for desktops is for Linux on x86-64"
)


@pytest.fixture(scope="module")
def built_runner() -> Path:
    """The runner's folder after Maven has built and tested everything in it."""
    command = ["mvn", "-q", "-B", "-f", str(RUNNER / "pom.xml"), "verify"]
    # Each module's tests run in a JVM of their own, too short for the optimising compiler to pay off.
    environment = os.environ | {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    with compiling():
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, cwd=ROOT, env=environment
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return RUNNER


@pytest.fixture(scope="module")
def replied(built_runner: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunReply, Path]:
    """The desktop runner's reply to a request with all passes, and the job's folder."""
    folder = tmp_path_factory.mktemp("job")
    job, store = folder / "files/jobs/j", folder / "store"
    job.mkdir(parents=True)
    store.mkdir()
    image = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 4))
    write_tensors(folder / "inputs.bin", [np.arange(12, dtype=np.float32).reshape(3, 1, 4)], [image])
    artifact, inputs = stored(MODEL, store), stored(folder / "inputs.bin", store)
    request = RunRequest(
        cell="cell",
        launch=2,
        artifact=ArtifactRef(file="open.onnx", sha256=artifact, format=Format.ONNX),
        runtime=RuntimeRequest(delegate=Delegate.CPU, threads=1),
        inputs=InputsRef(file="inputs.bin", count=3, tensors=(image,)),
        passes=Passes(
            latency=LatencyPass(
                warmup=WarmupPass(min_calls=2, min_ns=0), measure=MeasurePass(min_calls=9, min_ns=0, max_ns=10**10)
            ),
            memory=MemoryPass(calls=3),
            outputs=OutputsPass(count=3),
            profile=ProfilePass(calls=2),
        ),
    )
    (job / "request.json").write_bytes(encode(request))
    classes = f"{built_runner}/desktop/target/runner-desktop.jar:{built_runner}/desktop/target/lib/*"
    command = ["java", "-cp", classes, "org.phonebench.runner.desktop.DesktopRunner", "--files", f"{folder}/files"]
    command += ["--job", "j", "--store", str(store), "--inputs", inputs, "--kind", "android-app"]
    subprocess.run(command, check=True, capture_output=True)
    return decode_reply((job / "reply.json").read_bytes()), job


def stored(file: Path, store: Path) -> str:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    shutil.copy(file, store / sha256)
    return sha256


@pytest.mark.slow
@needs_maven
def test_maven_builds_and_tests_the_runner(built_runner: Path) -> None:
    reports = list(built_runner.glob("*/target/surefire-reports/TEST-*.xml"))
    assert sum(int(ElementTree.parse(report).getroot().get("tests", "0")) for report in reports) > 100


@pytest.mark.slow
@needs_maven
@needs_cc
@only_on_linux
def test_the_adapter_of_tensorflow_lite_ran_on_a_real_library(built_runner: Path) -> None:
    (report,) = (built_runner / "tflite-desktop/target/surefire-reports").glob("TEST-*TfliteAdapterTest.xml")
    suite = ElementTree.parse(report).getroot()
    assert int(suite.get("tests", "0")) >= 20
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")


@pytest.mark.slow
@needs_maven
def test_the_host_reads_what_the_java_core_replies(replied: tuple[RunReply, Path]) -> None:
    reply, _ = replied
    assert (reply.status, reply.cell, reply.launch) == (ReplyStatus.OK, "cell", 2), reply.failure
    assert (reply.runner.kind, reply.runner.version) == ("android-app", __version__)
    assert reply.latency is not None
    assert (len(reply.latency.warmup_ns), len(reply.latency.samples_ns)) == (2, 9)
    assert reply.load is not None
    assert len(reply.load.warm_ns) == 1
    assert {operator.kind for operator in reply.profile} == {"MatMul"}
    assert reply.state is not None
    assert reply.state.after.available_bytes


@pytest.mark.slow
@needs_maven
def test_the_memory_of_the_java_core_is_that_of_its_process(replied: tuple[RunReply, Path]) -> None:
    memory = replied[0].memory
    assert memory is not None
    assert "RssAnon + VmSwap" in memory.definition
    assert memory.peak_bytes is None or memory.peak_bytes >= memory.baseline_bytes > 10**6


@pytest.mark.slow
@needs_maven
def test_the_outputs_of_the_java_core_are_right(replied: tuple[RunReply, Path]) -> None:
    reply, job = replied
    assert reply.outputs is not None
    (found,) = read_tensors(job / reply.outputs.file, reply.outputs.tensors, reply.outputs.count)
    weights = np.array([[1, 0, 2], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=np.float32)
    np.testing.assert_array_equal(found.reshape(3, 3), np.arange(12, dtype=np.float32).reshape(3, 4) @ weights)


@pytest.mark.parametrize("pom", sorted(RUNNER.glob("**/pom.xml")), ids=lambda path: path.parent.name)
def test_the_runner_has_the_version_of_phonebench(pom: Path) -> None:
    root = ElementTree.parse(pom).getroot()
    version = root.find(f"{POM}version")
    if version is None:
        version = root.find(f"{POM}parent/{POM}version")
    assert version is not None
    assert version.text == __version__


def test_no_line_of_java_is_longer_than_120() -> None:
    sources = sorted(RUNNER.glob("*/src/**/*.java"))
    assert len(sources) > 40
    assert [path.name for path in sources if max(map(len, path.read_text().splitlines())) > 120] == []
