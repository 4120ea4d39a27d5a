"""The runtimes with a C++ interface: ExecuTorch and PyTorch, on the libraries of the Python packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.ios.libraries import Target, fetch_libraries
from harness.wire import Delegate, FailureKind, Format, ReplyStatus
from tests.ios_runner.jobs import Asked, Documents
from tests.ios_runner.kits import build_executorch_kit, build_torch_kit, missing_for_kits
from tests.ios_runner.swift import LIBRARIES, RUNNER, in_toolchain
from tests.ios_runner.test_swift_runner import ROOT, Files, on_the_host
from tests.ios_runner.test_swift_runner import pytestmark as needs_swift

pytestmark = needs_swift
# Not "missing", which fails in continuous integration: these libraries are not made for this, and may not fit.
only_where_they_fit = pytest.mark.skipif(bool(missing_for_kits()), reason=missing_for_kits())


@pytest.fixture(scope="module")
def images() -> Any:
    """Four real digits of shape (4, 1, 1, 8, 8)."""
    with np.load(ROOT / "models/digits/digits.npz") as arrays:
        return (arrays["images"][:4].astype(np.float32) / 16).reshape(4, 1, 1, 8, 8)


@pytest.fixture(scope="module")
def kits() -> None:
    build_executorch_kit()
    build_torch_kit()


@only_where_they_fit
@pytest.mark.usefixtures("kits")
@pytest.mark.parametrize(
    ("format_", "variant", "delegate", "used"),
    [
        (Format.PTE, "fp32", Delegate.XNNPACK, "xnnpack"),
        (Format.PTE, "int8", Delegate.XNNPACK, "xnnpack"),
        (Format.PTL, "fp32", Delegate.CPU, "cpu"),
        (Format.PTL, "int8", Delegate.CPU, "cpu"),
    ],
)
def test_outputs_of_a_kit_are_those_of_the_host(
    tmp_path: Path, digits_files: Files, images: Any, format_: Format, variant: str, delegate: Delegate, used: str
) -> None:
    file = digits_files[format_.value, variant]
    job = Documents(tmp_path).job(file, format_, [images], Asked(delegate=delegate))
    reply = job.run()
    assert reply.status is ReplyStatus.OK, reply.failure
    assert reply.runtime is not None
    assert reply.runtime.delegate_used == used
    np.testing.assert_allclose(job.outputs()[0], on_the_host(file, format_, delegate, images), atol=1e-5)


@only_where_they_fit
@pytest.mark.usefixtures("kits")
@pytest.mark.parametrize("format_", [Format.PTE, Format.PTL])
def test_a_kit_refuses_a_file_that_it_cannot_load(tmp_path: Path, images: Any, format_: Format) -> None:
    file = tmp_path / f"model.{format_.value}"
    file.write_bytes(b"this is no model" * 64)
    reply = Documents(tmp_path / "documents").job(file, format_, [images]).run()
    assert reply.failure is not None
    assert (reply.status, reply.failure.kind) == (ReplyStatus.FAILED, FailureKind.LOAD)
    assert f"cannot load 'model.{format_.value}'" in reply.failure.message


@only_where_they_fit
@pytest.mark.usefixtures("kits")
def test_a_delegate_that_a_runtime_does_not_have_is_unsupported(
    tmp_path: Path, digits_files: Files, images: Any
) -> None:
    asked = Asked(delegate=Delegate.COREML)
    reply = Documents(tmp_path).job(digits_files["ptl", "fp32"], Format.PTL, [images], asked).run()
    assert reply.failure is not None
    assert (reply.status, reply.failure.kind) == (ReplyStatus.UNSUPPORTED, FailureKind.DELEGATE)
    assert "PyTorch has no coreml delegate here (it has: cpu)" in reply.failure.message


def test_the_kit_of_executorch_fits_the_headers_of_ios() -> None:
    """The headers come with the framework for iOS, so this is what Xcode will compile."""
    fetch_libraries(LIBRARIES, Target.LINUX)
    headers = LIBRARIES / "executorch/include"
    done = in_toolchain(
        "clang++",
        "-std=c++20",
        "-fsyntax-only",
        "-Wall",
        f"-isystem{headers}",
        f"-isystem{headers}/pthreadpool",
        f"-I{RUNNER}/Sources/CKit/include",
        f"{RUNNER}/Kits/ExecuTorchKit/executorch.cpp",
    )
    assert (done.returncode, done.stdout) == (0, "")
