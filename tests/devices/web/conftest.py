"""A real browser with the digits files, and small programs that stand in for browsers that misbehave."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.devices.device import Execution
from harness.devices.web.browsers import installed
from harness.devices.web.driven import DrivenBrowser
from harness.devices.web.server import PageServer
from harness.devices.web.web import WebDevice, open_page
from harness.runners.web.libraries import LIBRARIES, default_store, fetch, is_complete
from harness.system.files import file_sha256
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
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
)
from tests.loop.shared import SharedFolder

INPUTS = 4


@pytest.fixture(scope="session")
def store(shared: SharedFolder) -> Path:
    """The runtimes' files of this user, fetched once."""

    def complete(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        missing = [library for library in LIBRARIES.values() if not is_complete(library, default_store())]
        if missing and shutil.which("npm") is None:
            pytest.skip("missing: npm; run: apt-get install npm")
        for library in missing:
            fetch(library, default_store())

    shared.once("web-libraries", complete)
    return default_store()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser that the tests drive."""
    program = installed("chromium")
    if program is None:
        pytest.skip("missing: a browser; run: apt-get install chromium")
    return program


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An open browser, the server of its pages, and what opens them."""

    device: WebDevice
    server: PageServer
    opener: DrivenBrowser


@pytest.fixture(scope="module")
def bench(store: Path, chromium: Path) -> Iterator[Bench]:
    """Chromium as a device, opened once for a file of tests."""
    server = PageServer(store)
    opener = DrivenBrowser(chromium, "chromium", server)
    with open_page(opener, server, "web:chromium") as device:
        yield Bench(device=device, server=server, opener=opener)


@pytest.fixture(scope="session")
def digits_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real digits as ``inputs.bin``."""
    from sklearn.datasets import load_digits

    path = tmp_path_factory.mktemp("digits") / "inputs.bin"
    pictures = load_digits().images[:INPUTS].astype("<f4") / 16
    pictures.reshape(INPUTS, 1, 8, 8).tofile(path)
    return path


def brief(format_: Format, file: Path, delegate: Delegate, *, threads: int = 1) -> RunRequest:
    """A request for one short launch with all passes on a digits file."""
    return RunRequest(
        cell=f"digits-{format_.value}-{delegate.value}",
        launch=0,
        artifact=ArtifactRef(file=file.name, sha256=file_sha256(file), format=format_),
        runtime=RuntimeRequest(delegate=delegate, threads=threads),
        inputs=InputsRef(
            file="inputs.bin",
            count=INPUTS,
            tensors=(TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 1, 8, 8)),),
        ),
        passes=Passes(
            latency=LatencyPass(
                warmup=WarmupPass(min_calls=20, min_ns=0), measure=MeasurePass(min_calls=30, min_ns=0, max_ns=10**10)
            ),
            memory=MemoryPass(calls=2),
            outputs=OutputsPass(count=INPUTS),
        ),
    )


def run(device: WebDevice, request: RunRequest, file: Path, inputs: Path, *, deadline_s: float = 120) -> Execution:
    """Push a file and run a request on it."""
    device.push(file, request.artifact.sha256)
    return device.execute(request, inputs, deadline_s)


def outputs_only(request: RunRequest) -> RunRequest:
    """The same request without timing and memory."""
    return replace(request, passes=Passes(outputs=request.passes.outputs))


def values(execution: Execution) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The outputs of an execution, all in one row."""
    assert execution.reply.failure is None, execution.reply.failure
    assert execution.outputs is not None
    return np.fromfile(execution.outputs, dtype="<f4")


# A program in place of a browser: it has the pipe, and a function that answers the calls in `answers`.
STANDIN = """
import json, os, sys, time
said, tell = os.fdopen(3, "rb"), os.fdopen(4, "wb")
def serve(**answers):
    rest = b""
    while block := said.raw.read(65536):
        *calls, rest = (rest + block).split(b"\\0")
        for call in map(json.loads, calls):
            answer = {"id": call["id"], "result": answers.get(call["method"].replace(".", "_"), {})}
            tell.write(json.dumps(answer).encode() + b"\\0")
            tell.flush()
"""


@pytest.fixture
def standin(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a program that is started in place of a browser."""

    def make(body: str) -> Path:
        path = tmp_path / "browser"
        path.write_text(f"#!{sys.executable}\n{STANDIN}{textwrap.dedent(body)}")
        path.chmod(0o755)
        return path

    return make
