"""The iOS runner with a public key: real models, signed and not, by the desktop program and on the virtual iPhone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.runners.ios.build import KEY_NAME, IosBuild
from harness.signing.bundle import bundle_of
from harness.signing.keys import KeyFiles, create_key
from harness.wire import FailureKind, Format, OutputsPass, Passes, RunReply
from tests.conftest import CommandLine
from tests.ios_runner.jobs import Asked, Documents, Job
from tests.ios_runner.swift import desktop_command
from tests.ios_runner.test_swift_runner import pytestmark as needs_swift
from tests.viphone.fixtures import MakePhone, device_key, ipas, make_iphone, usbmuxd
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.programs import swift_program
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.usbmuxd import Usbmuxd

__all__ = ["device_key", "ipas", "make_iphone", "usbmuxd"]

pytestmark = needs_swift
UDID = own_udid(20)
Files = dict[tuple[str, str], Path]


@pytest.fixture
def job(tmp_path: Path, digits_files: Files, digits_images: Any) -> Job:
    """A job that runs digits on some images and returns the outputs."""
    asked = Asked(passes=Passes(outputs=OutputsPass(count=2)))
    return Documents(tmp_path / "Documents").job(digits_files["onnx", "fp32"], Format.ONNX, [digits_images], asked)


@pytest.fixture(scope="module")
def digits_images() -> Any:
    with np.load(Path(__file__).parents[2] / "models/digits/digits.npz") as arrays:
        return (arrays["images"][:2].astype(np.float32) / 16).reshape(-1, 1, 1, 8, 8)


def key_on(curve: ec.EllipticCurve, folder: Path) -> tuple[Path, Path]:
    """A private key and its public one."""
    key = ec.generate_private_key(curve)
    private, public = folder / f"{curve.name}.key", folder / f"{curve.name}.pub"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def launched(job: Job, public: Path, signature: str) -> RunReply:
    job.again()
    job.rewrite(replace(job.request, artifact=replace(job.request.artifact, signature=signature)))
    done = job.launch("--key", str(public), "--private", str(job.documents / "private"))
    assert done.returncode == 0, done.stderr
    assert not (job.documents / "private").exists()
    return job.reply()


def refusal(reply: RunReply) -> str:
    assert reply.failure is not None
    assert (reply.failure.kind, reply.load, reply.outputs) == (FailureKind.DIGEST, None, None)
    return reply.failure.message


def test_a_model_runs_that_a_key_on_any_of_the_curves_has_signed(job: Job, digits_files: Files, tmp_path: Path) -> None:
    plain = job.run()
    assert plain.outputs is not None
    expected = job.outputs()
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        private, public = key_on(curve, tmp_path)
        reply = launched(job, public, bundle_of(digits_files["onnx", "fp32"], private).decode())
        assert reply.failure is None, reply.failure
        np.testing.assert_array_equal(job.outputs()[0], expected[0])


def test_what_was_changed_or_signed_otherwise_is_refused(job: Job, digits_files: Files, tmp_path: Path) -> None:
    model, other = digits_files["onnx", "fp32"], digits_files["onnx", "int8"]
    ours, theirs = (create_key(tmp_path / name, days=30) for name in ("ours", "theirs"))
    signature = bundle_of(model, ours.private).decode()
    assert "has no signature" in refusal(launched(job, ours.public, ""))
    assert "is not by the key" in refusal(launched(job, theirs.public, signature))
    assert "is not of the file" in refusal(launched(job, ours.public, bundle_of(other, ours.private).decode()))
    assert "cannot be read" in refusal(launched(job, ours.private, signature))
    stored = job.documents / "phonebench/store" / job.request.artifact.sha256
    changed = bytearray(stored.read_bytes())
    changed[len(changed) // 2] ^= 1
    stored.write_bytes(changed)
    assert "has sha256" in refusal(launched(job, ours.public, signature))


@pytest.fixture
def with_key(
    make_iphone: MakePhone, usbmuxd: Usbmuxd, ipas: IpaMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[KeyFiles, Path]:
    """A key, and an IPA that was built with it; the virtual iPhone that takes it runs the Swift runner."""
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", usbmuxd.address)
    phone = make_iphone(IPhoneState(ios="17.4", udid=UDID, capacity_bytes=1 << 30))
    phone.apps.program = swift_program(desktop_command())
    key = create_key(tmp_path / "release", days=30)
    text = IosBuild(trusted_key=key.public.read_bytes()).key_text
    return key, ipas.make(IpaPlan(devices=(UDID,), info={KEY_NAME: text}))


def test_the_iphone_refuses_what_a_stolen_computer_sends(
    phonebench: CommandLine, with_key: tuple[KeyFiles, Path], digits_files: Files, tmp_path: Path
) -> None:
    key, ipa = with_key
    (tmp_path / "net.onnx").write_bytes(digits_files["onnx", "fp32"].read_bytes())
    run = ["run", "net.onnx", "--device", "ios", "--ipa", str(ipa), "--delegate", "cpu", "--json"]
    (cell,) = phonebench(*run).json()["cells"]
    assert cell["status"] == "failed"
    assert "has no signature, and this runner app runs only what its key has signed" in str(cell)
    assert phonebench("sign", "net.onnx", "--key", str(key.private)).code == 0
    (cell,) = phonebench(*run).json()["cells"]
    assert cell["status"] == "ok", cell
