"""Checking an APK: what Android's tools report about it, and what would make a phone refuse it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.runners.android.archive import Entry, write_archive
from harness.runners.android.records import Abi
from harness.runners.android.verify import (
    check_badging,
    expected,
    native_libraries,
    parse_badging,
)
from tests.runners.android.test_apk_elf import elf64

# The output of aapt2 2.19 for an app with four ABIs, shortened.
BADGING = """\
package: name='org.phonebench.runner.tflite' versionCode='100' versionName='0.1.0+0123456789ab' compileSdkVersion='34'
sdkVersion:'26'
targetSdkVersion:'34'
application-label:'phonebench tflite'
application: label='phonebench tflite' icon=''
application-debuggable
native-code: 'x86_64' 'arm64-v8a'
"""
EXPECTED = expected(
    app_id="org.phonebench.runner.tflite",
    version_name="0.1.0+0123456789ab",
    abis=(Abi.X86_64, Abi.ARM64),
    debuggable=True,
)


def test_the_badging_is_read() -> None:
    assert parse_badging(BADGING) == EXPECTED


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("tflite'", "pytorch'", "app_id is wrong: got 'org.phonebench.runner.pytorch'"),
        ("789ab", "789ac", "version_name"),
        ("'26'", "'21'", "min_sdk is wrong: got 21, expected 26"),
        ("'x86_64' ", "", r"abis is wrong: got \('arm64-v8a',\)"),
        ("application-debuggable\n", "", "debuggable is wrong: got False"),
    ],
)
def test_an_apk_that_is_not_what_was_built_is_refused_with_the_field(right: str, wrong: str, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        check_badging(parse_badging(BADGING.replace(right, wrong)), right=EXPECTED)


def test_native_libraries_are_listed_with_their_pages(tmp_path: Path) -> None:
    entries = [Entry(name=f"lib/{abi}/lib.so", data=elf64((1, 4096))) for abi in ("arm64-v8a", "x86_64")]
    write_archive(tmp_path / "a.apk", entries)
    found = native_libraries(tmp_path / "a.apk")
    assert [(one.abi, one.page_bytes) for one in found] == [(Abi.ARM64, 4096), (Abi.X86_64, 4096)]


@pytest.mark.parametrize(
    ("compression", "names", "said"),
    [
        (zipfile.ZIP_STORED, ["lib/arm64-v8a/lib.so"], "multiple of 16384"),
        (zipfile.ZIP_DEFLATED, ["lib/arm64-v8a/lib.so"], "or compressed"),
        (zipfile.ZIP_STORED, ["lib/arm64-v8a/lib.so", "lib/arm64-v8a/lib.so"], "twice: two libraries clash"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_apk_that_a_phone_could_not_map_is_refused(
    tmp_path: Path, compression: int, names: list[str], said: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.apk", "w", compression) as archive:
        for name in names:
            archive.writestr(name, elf64((1, 16384)))
    with pytest.raises(BuildError, match=said):
        native_libraries(tmp_path / "a.apk")
