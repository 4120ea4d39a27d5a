"""Settings such as clocks and cores, and the workarounds for what older phones lack."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import open_phone
from harness.devices.android.phone_store import FOLDER
from harness.errors import PhoneError, PhoneTrouble
from harness.spec.phone_settings import Clocks, Cores, PhoneSettings
from harness.wire import ReplyStatus
from tests.devices.android.apks import VERSION, TinyApk, apk_source, tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import make_work
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.apps import Launch
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

FIXED = PhoneSettings(clocks=Clocks.FIXED, cores=Cores.BIG)


def options(apk: TinyApk, settings: PhoneSettings | None = None) -> PhoneOptions:
    made = PhoneOptions(apks=apk_source(apk), back_s=5)
    return made if settings is None else replace(made, settings=settings)


def test_fixed_clocks_and_big_cores_are_set_reported_and_restored(
    cable: Cable, phone: VirtualPhone, onnx_apk: TinyApk, tmp_path: Path
) -> None:
    masks: list[str] = []

    def program(launch: Launch) -> list[str]:
        masks.append(launch.extras["mask"])
        return standin(launch)

    phone.apps.program = program
    work = make_work(tmp_path)
    with open_phone(cable, key="android", options=options(onnx_apk, FIXED)) as android:
        assert phone.state.fixed_performance
        details = android.info.details
        assert (details["clock_regime"], details["cores"], details["mask"]) == ("fixed", "big", "f0")
        android.push(work.model, work.sha256)
        assert android.execute(work.request, work.inputs, 60).reply.status is ReplyStatus.OK
    assert masks == ["f0"]
    assert not phone.state.fixed_performance


def test_a_phone_without_fixed_clocks_says_so_and_stays_as_it_was(
    cable: Cable, phone: VirtualPhone, onnx_apk: TinyApk
) -> None:
    phone.state.has_fixed_performance = False
    with pytest.raises(PhoneError, match="has no mode with fixed clocks") as caught:
        open_phone(cable, key="android", options=options(onnx_apk, FIXED)).__enter__()
    assert caught.value.trouble is PhoneTrouble.REFUSED
    assert phone.state.stay_on == 0


def test_where_the_provider_gives_nothing_a_debuggable_app_is_read_as_itself(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, tmp_path: Path
) -> None:
    phone.apps.program = standin
    phone.faults.silent_provider()
    apk = tiny(apks, ApkPlan(version_name=VERSION, debuggable=True))
    work = make_work(tmp_path)
    with open_phone(cable, key="android", options=options(apk)) as android:
        android.push(work.model, work.sha256)
        execution = android.execute(work.request, work.inputs, 60)
    assert execution.reply.status is ReplyStatus.OK
    assert execution.reply.outputs is not None


@pytest.fixture
def old_phone(adb_server: AdbServer, tmp_path: Path) -> Generator[VirtualPhone]:
    """A phone with Android 8, whose shell cannot write through a provider and reports no thermal status."""
    with VirtualPhone(tmp_path / "old", api=26) as phone:
        phone.apps.program = standin
        adb_server.connect(phone)
        assert adb_server.wait_state(phone, "device")
        yield phone
        adb_server.adb("disconnect", phone.address)


def test_android_8_gets_its_request_as_a_file(
    old_phone: VirtualPhone, adb_server: AdbServer, onnx_apk: TinyApk, tmp_path: Path
) -> None:
    work = make_work(tmp_path)
    cable = Cable(Server(port=adb_server.port), old_phone.address)
    with open_phone(cable, key="android", options=options(onnx_apk)) as android:
        assert android.readiness().thermal_status is None
        android.push(work.model, work.sha256)
        assert android.execute(work.request, work.inputs, 60).reply.status is ReplyStatus.OK
    assert not [file for file in old_phone.path(FOLDER).iterdir() if file.name.endswith(".json")]


def test_android_7_is_too_old(adb_server: AdbServer, phone: VirtualPhone) -> None:
    phone.state.api = 25
    with pytest.raises(PhoneError, match="API 25") as caught:
        open_phone(Cable(Server(port=adb_server.port), phone.address), key="android").__enter__()
    assert caught.value.trouble is PhoneTrouble.TOO_OLD


def test_a_phone_that_is_still_starting_is_not_begun_with(cable: Cable, phone: VirtualPhone) -> None:
    phone.state.booted = False
    with pytest.raises(PhoneError, match="still starting; wait until the phone shows its home screen"):
        open_phone(cable, key="android").__enter__()
