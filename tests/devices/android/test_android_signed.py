"""A runner app that was built with a public key: the phone itself refuses what the key has not signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.phone import open_phone
from harness.signing.bundle import sign
from harness.signing.keys import KeyFiles, create_key
from harness.wire import FailureKind, RunReply
from tests.devices.android.jobs import Work, make_work
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.apps import Program
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone

Executed = Callable[[Work, str], RunReply]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return create_key(tmp_path_factory.mktemp("key") / "owner", days=30)


@pytest.fixture
def execute(cable: Cable, phone: VirtualPhone, apks: ApkMaker, desktop: Program, key: KeyFiles) -> Executed:
    """Runs a model with a signature in the app with the key."""
    phone.apps.program = desktop
    phone.packages.install(apks.make(ApkPlan(trusted_key=key.public.read_text())), InstallOptions())

    def run(work: Work, signature: str) -> RunReply:
        request = replace(work.request, artifact=replace(work.request.artifact, signature=signature))
        with open_phone(cable, key="android") as android:
            android.push(work.model, work.sha256)
            return android.execute(request, work.inputs, 120).reply

    return run


def refusal(reply: RunReply) -> str:
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.DIGEST
    assert (reply.load, reply.latency) == (None, None)
    return reply.failure.message


def test_the_app_runs_what_its_key_has_signed(execute: Executed, key: KeyFiles, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    reply = execute(work, sign(work.model, key.private).read_text())
    assert reply.failure is None
    assert reply.latency is not None


def test_the_app_refuses_what_nobody_or_somebody_else_has_signed(
    execute: Executed, key: KeyFiles, tmp_path: Path
) -> None:
    work = make_work(tmp_path)
    assert "has no signature" in refusal(execute(work, ""))
    thief = create_key(tmp_path / "thief", days=30)
    assert "is not by the key in this runner app" in refusal(execute(work, sign(work.model, thief.private).read_text()))
    other = tmp_path / "other.onnx"
    other.write_bytes(b"the owner's other model")
    assert "is not of the file" in refusal(execute(work, sign(other, key.private).read_text()))
