"""The iOS runner in Swift: it is built, tested and checked here, and its adapters run real files beside the host's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.runtimes.registry import open_session, run_once
from harness.wire import Delegate, Format, ReplyStatus, RuntimeRequest
from tests.ios_runner.jobs import Documents
from tests.ios_runner.swift import building, desktop_command, missing_for_swift, swift

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
    with building():
        done = swift("test", "--parallel")
    assert done.returncode == 0, done.stdout
    assert "error:" not in done.stdout


def test_the_sources_are_formatted() -> None:
    done = swift("format", "lint", "--strict", "--recursive", "Sources", "Tests", "Package.swift")
    assert (done.returncode, done.stdout) == (0, "")


def on_the_host(file: Path, format_: Format, delegate: Delegate, arrays: Any) -> Any:
    """What the host's runtime gives for the same inputs."""
    session = open_session(file, RuntimeRequest(delegate=delegate, threads=1), format_)
    outputs = [run_once(session, [array])[0] for array in arrays]
    session.close()
    return np.stack(outputs)


# ONNX Runtime of the app and of the host are two releases, which round differently in the middle of a network in fp16.
@pytest.mark.parametrize(("variant", "atol"), [("fp32", 1e-5), ("fp16", 2e-2), ("int8", 1e-5), ("int8-dynamic", 1e-5)])
def test_onnx_outputs_are_those_of_the_host(
    documents: Documents, digits_files: Files, digits: tuple[Any, Any], variant: str, atol: float
) -> None:
    images, _ = digits
    file = digits_files["onnx", variant]
    job = documents.job(file, Format.ONNX, [images])
    reply = job.run()
    assert reply.status is ReplyStatus.OK, reply.failure
    outputs = job.outputs()[0]
    expected = on_the_host(file, Format.ONNX, Delegate.CPU, images[:4])
    np.testing.assert_allclose(outputs, expected, atol=atol)
