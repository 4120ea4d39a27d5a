"""Finding built APKs: only intact ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.android.app.apps import built_here, chosen
from harness.runners.android.identity import version_name
from harness.runners.android.records import Abi, ApkFacts, BuiltApk, Runtime, app_id
from harness.runners.android.store import apk_path, built_apks, forget, keep
from harness.system.files import file_sha256


@pytest.fixture
def kept(tmp_path: Path) -> BuiltApk:
    return kept_for(tmp_path, Abi.ARM64)


def kept_for(folder: Path, abi: Abi) -> BuiltApk:
    path = apk_path(folder, Runtime.TFLITE, abi)
    path.write_bytes(b"an APK")
    version = version_name(Runtime.TFLITE, abis=(abi,), library_sha256="ab", debuggable=False)
    facts = ApkFacts(
        runtime=Runtime.TFLITE,
        app_id=app_id(Runtime.TFLITE),
        version_name=version,
        signer_sha256="cd",
        abis=(abi,),
        debuggable=False,
        library="tensorflow-lite 2.16.1",
        library_sha256="ab",
        sha256=file_sha256(path),
        bytes=6,
        natives=(),
    )
    return keep(path, facts)


def test_an_apk_is_found_again_with_its_identity(kept: BuiltApk, tmp_path: Path) -> None:
    assert built_apks(tmp_path) == {Runtime.TFLITE: (kept,)}
    assert (kept.app_id, kept.signer_sha256) == ("org.phonebench.runner.tflite", "cd")


@pytest.mark.parametrize("damage", ["apk", "record", "no record", "no apk"])
def test_one_that_is_damaged_is_not_there(kept: BuiltApk, tmp_path: Path, damage: str) -> None:
    record = kept.path.with_suffix(".json")
    match damage:
        case "apk":
            kept.path.write_bytes(b"an AP")
        case "record":
            record.write_text(record.read_text()[:40])
        case "no record":
            record.unlink()
        case _:
            kept.path.unlink()
    assert built_apks(tmp_path) == {}


def test_an_apk_of_an_earlier_version_for_several_abis_is_found(kept: BuiltApk, tmp_path: Path) -> None:
    older = apk_path(tmp_path, Runtime.TFLITE)
    kept.path.rename(older)
    kept.path.with_suffix(".json").rename(older.with_suffix(".json"))
    assert [apk.path for apk in built_apks(tmp_path)[Runtime.TFLITE]] == [older]
    forget(older)
    assert built_apks(tmp_path) == {}


@pytest.mark.parametrize(
    ("phone", "fits"),
    [
        (["arm64-v8a", "armeabi-v7a", "armeabi"], Abi.ARM64),
        (["armeabi-v7a", "armeabi"], Abi.ARM),
        # An emulator that can translate prefers its own code.
        (["x86_64", "arm64-v8a"], Abi.X86_64),
        (["x86_64", "x86", "armeabi-v7a"], Abi.X86_64),
    ],
)
def test_a_phone_gets_the_apk_of_the_first_abi_that_it_lists(tmp_path: Path, phone: list[str], fits: Abi) -> None:
    built = [kept_for(tmp_path, abi) for abi in (Abi.X86_64, Abi.ARM, Abi.ARM64)]
    one = chosen(built, phone)
    assert one is not None
    assert one.abis == (fits,)
    source = built_here(tmp_path)
    assert source("tflite", phone) == one
    assert source("onnxruntime", phone) is None


def test_a_phone_without_a_fitting_apk_gets_one_that_it_can_refuse(kept: BuiltApk) -> None:
    assert chosen([kept], ["x86"]) == kept
    assert chosen([], ["x86"]) is None
