"""Finding built APKs: only intact ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.runners.android.identity import version_name
from harness.runners.android.records import Abi, ApkFacts, BuiltApk, Runtime, app_id
from harness.runners.android.store import apk_path, built_apks, keep
from harness.system.files import file_sha256


@pytest.fixture
def kept(tmp_path: Path) -> BuiltApk:
    path = apk_path(tmp_path, Runtime.TFLITE)
    path.write_bytes(b"an APK")
    version = version_name(Runtime.TFLITE, abis=(Abi.ARM64,), library_sha256="ab", debuggable=False)
    facts = ApkFacts(
        runtime=Runtime.TFLITE,
        app_id=app_id(Runtime.TFLITE),
        version_name=version,
        signer_sha256="cd",
        abis=(Abi.ARM64,),
        debuggable=False,
        library="tensorflow-lite 2.16.1",
        library_sha256="ab",
        sha256=file_sha256(path),
        bytes=6,
        natives=(),
    )
    return keep(path, facts)


def test_an_apk_is_found_again_with_its_identity(kept: BuiltApk, tmp_path: Path) -> None:
    assert built_apks(tmp_path) == {Runtime.TFLITE: kept}
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
