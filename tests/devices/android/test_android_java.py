"""The runner's Java core behind ``am start``: the driver's requests and the app's replies fit together."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import open_phone
from harness.records.conditions import ConditionId
from harness.wire import Delegate, FailureKind, ReplyStatus
from tests.devices.android.jobs import INPUTS, OPERAND, make_work
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone


@pytest.mark.usefixtures("runner_phone")
def test_a_model_runs_in_the_app_and_its_outputs_are_right(cable: Cable, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    with open_phone(cable, key="android") as android:
        android.push(work.model, work.sha256)
        execution = android.execute(work.request, work.inputs, 120)
        assert execution.outputs is not None
        outputs = np.frombuffer(execution.outputs.read_bytes(), dtype=np.float32).reshape(INPUTS.shape)
    reply = execution.reply
    assert (reply.failure, reply.runner.kind) == (None, "android-app")
    assert np.array_equal(outputs, INPUTS * OPERAND)
    assert reply.latency is not None
    assert len(reply.latency.samples_ns) >= 20


def test_an_app_that_was_installed_by_hand_tells_what_its_libraries_are_laid_out_for(
    cable: Cable, runner_phone: VirtualPhone, apks: ApkMaker, tmp_path: Path
) -> None:
    runner_phone.state.page_bytes = 16384
    runner_phone.packages.install(apks.make(ApkPlan(page_bytes=4096)), InstallOptions())
    work = make_work(tmp_path)
    with open_phone(cable, key="android") as android:
        android.push(work.model, work.sha256)
        execution = android.execute(work.request, work.inputs, 120)
    assert [condition.id for condition in execution.conditions] == [ConditionId.PAGE_SIZE]
    assert execution.reply.runner.library_page_bytes == 4096


@pytest.mark.usefixtures("runner_phone")
def test_an_artifact_that_is_newer_than_the_runtime_says_what_to_build(cable: Cable, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    model = onnx.load(work.model)
    model.ir_version = 999
    work.model.write_bytes(model.SerializeToString())
    sha256 = hashlib.sha256(work.model.read_bytes()).hexdigest()
    with open_phone(cable, key="android") as android:
        android.push(work.model, sha256)
        request = replace(work.request, artifact=replace(work.request.artifact, sha256=sha256))
        failure = android.execute(request, work.inputs, 120).reply.failure
    assert failure is not None
    assert failure.kind is FailureKind.LOAD
    assert "Unsupported model IR version: 999" in failure.message
    assert "build the app with a newer library (phonebench runner build android --library FILE)" in failure.message


def test_an_artifact_that_changed_on_the_phone_is_refused_by_the_app(
    cable: Cable, runner_phone: VirtualPhone, tmp_path: Path
) -> None:
    work = make_work(tmp_path)
    with open_phone(cable, key="android") as android:
        android.push(work.model, work.sha256)
        runner_phone.path(f"/data/local/tmp/phonebench/{work.sha256}").write_bytes(b"something else")
        reply = android.execute(work.request, work.inputs, 120).reply
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.DIGEST


@pytest.mark.usefixtures("runner_phone")
def test_a_delegate_that_the_app_lacks_is_a_hole_with_its_reason(cable: Cable, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    request = replace(work.request, runtime=replace(work.request.runtime, delegate=Delegate.QNN))
    with open_phone(cable, key="android", options=PhoneOptions(back_s=5)) as android:
        android.push(work.model, work.sha256)
        reply = android.execute(request, work.inputs, 120).reply
    assert reply.status is ReplyStatus.UNSUPPORTED
    assert reply.failure is not None
    assert "has no qnn delegate (it has: cpu" in reply.failure.message
    assert "phonebench runner build android --runtime onnxruntime --library" in reply.failure.message
