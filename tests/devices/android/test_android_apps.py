"""Runner apps: installed if missing or outdated, replaced if an update is refused, and the advice for refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.app.apps import Apps, refused_install
from harness.devices.android.app_ids import no_apks
from harness.devices.android.phone_store import PhoneStore
from harness.errors import PhoneError, PhoneTrouble
from tests.devices.android.apks import OLD, VERSION, TinyApk, apk_source, tiny
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.phone import VirtualPhone

APP = "org.phonebench.runner.onnxruntime"


@pytest.fixture
def store(cable: Cable) -> PhoneStore:
    store = PhoneStore(cable)
    store.prepare()
    return store


def apps(cable: Cable, store: PhoneStore, *apks: TinyApk) -> Apps:
    return Apps(cable, store, apk_source(*apks))


def installed(phone: VirtualPhone) -> str:
    package = phone.packages.find(APP)
    return package.apk.version_name if package else ""


def test_a_missing_app_is_installed_and_its_apk_does_not_stay(
    cable: Cable, store: PhoneStore, phone: VirtualPhone, onnx_apk: TinyApk
) -> None:
    package = apps(cable, store, onnx_apk).ensure("onnxruntime")
    assert (package.version, package.debuggable) == (VERSION, False)
    assert installed(phone) == VERSION
    assert store.kept() == ()


def test_an_app_that_is_there_is_not_installed_again(
    cable: Cable, store: PhoneStore, phone: VirtualPhone, onnx_apk: TinyApk
) -> None:
    apps(cable, store, onnx_apk).ensure("onnxruntime")
    phone.state.install_restricted = True
    assert apps(cable, store, onnx_apk).ensure("onnxruntime").version == VERSION


OTHERS = {
    "older": ApkPlan(version_name=OLD),
    "newer": ApkPlan(version_name=OLD, version_code=2),
    "signed by another key": ApkPlan(version_name=OLD, key="theirs"),
}


@pytest.fixture(params=list(OTHERS.values()), ids=list(OTHERS))
def other_apk(request: pytest.FixtureRequest, apks: ApkMaker) -> TinyApk:
    """The app in an outdated version."""
    return tiny(apks, request.param)


def test_an_app_that_is_not_the_one_that_was_built_is_replaced(
    cable: Cable, store: PhoneStore, phone: VirtualPhone, onnx_apk: TinyApk, other_apk: TinyApk
) -> None:
    apps(cable, store, other_apk).ensure("onnxruntime")
    assert installed(phone) == other_apk.version_name
    apps(cable, store, onnx_apk).ensure("onnxruntime")
    assert installed(phone) == VERSION


def test_an_app_for_another_processor_is_refused_with_what_to_build(
    cable: Cable, store: PhoneStore, apks: ApkMaker
) -> None:
    apk = tiny(apks, ApkPlan(abis=("arm64-v8a",)))
    with pytest.raises(PhoneError, match=r"NO_MATCHING_ABIS\); build the app for this phone's processor") as caught:
        apps(cable, store, apk).ensure("onnxruntime")
    assert caught.value.trouble is PhoneTrouble.APP


def test_a_maker_who_asks_on_the_screen_is_told(
    cable: Cable, store: PhoneStore, phone: VirtualPhone, onnx_apk: TinyApk
) -> None:
    phone.state.install_restricted = True
    with pytest.raises(PhoneError, match="allow installing over USB"):
        apps(cable, store, onnx_apk).ensure("onnxruntime")
    assert store.kept() == ()


def test_a_file_that_is_no_apk_is_refused(cable: Cable, store: PhoneStore, tmp_path: Path) -> None:
    path = tmp_path / "broken.apk"
    path.write_bytes(b"not an APK")
    apk = TinyApk(path=path, app_id=APP, version_name=VERSION)
    with pytest.raises(PhoneError, match="build the APK again"):
        apps(cable, store, apk).ensure("onnxruntime")


def test_without_an_apk_the_app_that_is_there_is_taken_when_it_is_of_this_version(
    cable: Cable, store: PhoneStore, onnx_apk: TinyApk
) -> None:
    none = Apps(cable, store, no_apks)
    with pytest.raises(PhoneError, match="no APK of it is built here; build the runner apps with phonebench runner"):
        none.ensure("onnxruntime")
    apps(cable, store, onnx_apk).ensure("onnxruntime")
    assert none.ensure("onnxruntime").version == VERSION


def test_without_an_apk_an_app_of_another_version_is_not_taken(cable: Cable, store: PhoneStore, apks: ApkMaker) -> None:
    old = tiny(apks, ApkPlan(version_name=OLD))
    apps(cable, store, old).ensure("onnxruntime")
    with pytest.raises(PhoneError, match=r"0\.0\.1\+0123456789ab, but phonebench is"):
        Apps(cable, store, no_apks).ensure("onnxruntime")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Failure [INSTALL_FAILED_OLDER_SDK: Requires newer]", "Android 8 or newer"),
        ("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]", "free some space"),
        ("Failure [INSTALL_FAILED_VERIFICATION_FAILURE]", "Verify apps over USB"),
        ("Failure [INSTALL_FAILED_ABORTED: User rejected permissions]", "accept the installation"),
        ("Failure [INSTALL_PARSE_FAILED_NO_CERTIFICATES]", "sign the APK"),
        ("Failure [INSTALL_PARSE_FAILED_NOT_APK]", "build the APK again"),
        ("Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE]", f"adb uninstall {APP}"),
        ("something else", "check the phone's screen"),
    ],
)
def test_each_code_of_the_installer_has_its_advice(said: str, advice: str) -> None:
    error = refused_install("S", APP, said)
    assert advice in str(error)
    assert error.output == said
