"""A real APK: built, signed, verified with Android's own tools, and rebuilt byte for byte."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.runners.android.build import ApkOptions, Workshop, build_apks, build_unsigned, compiling
from harness.runners.android.identity import SOURCES
from harness.runners.android.keys import own_key
from harness.runners.android.records import Abi, BuiltApk, Runtime
from harness.runners.android.store import built_apks
from harness.runners.android.tools import Tool, Toolbox

MISSING = [tool.value for tool in Toolbox().missing([Tool.MAVEN, Tool.JAVAC, Tool.AAPT2, Tool.APKSIGNER])]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}")]
OPTIONS = ApkOptions(abis=(Abi.ARM64, Abi.X86_64))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("apk")
    return Workshop(tools=Toolbox(), work=folder / "work", out=folder / "out")


@pytest.fixture(scope="module")
def both(shop: Workshop) -> tuple[BuiltApk, ...]:
    return build_apks(Runtime.TFLITE, OPTIONS, own_key(shop.work / "key", shop.tools), shop)


@pytest.fixture(scope="module")
def apk(both: tuple[BuiltApk, ...]) -> BuiltApk:
    return both[0]


def test_each_holds_the_manifest_the_code_and_the_native_libraries_of_one_abi(both: tuple[BuiltApk, ...]) -> None:
    service = "META-INF/services/org.phonebench.runner.core.RuntimeAdapter"
    for apk, abi in zip(both, ("arm64-v8a", "x86_64"), strict=True):
        with zipfile.ZipFile(apk.path) as archive:
            names = set(archive.namelist())
            assert archive.read("META-INF/phonebench/library") == b"tensorflow-lite 2.16.1\n"
        assert {"AndroidManifest.xml", "classes.dex", service} <= names
        assert {name for name in names if name.startswith("lib/")} == {
            f"lib/{abi}/libtensorflowlite{what}_jni.so" for what in ("", "_gpu")
        }
        assert apk.path.name == f"phonebench-tflite-{abi}.apk"
    assert both[0].version_name != both[1].version_name


def test_the_terms_of_what_is_in_an_apk_travel_with_it(apk: BuiltApk) -> None:
    with zipfile.ZipFile(apk.path) as archive:
        assert b"Apache License" in archive.read("META-INF/phonebench/LICENSE")
        assert b"TensorFlow Lite" in archive.read("META-INF/phonebench/NOTICE")
    # Those under the Apache License need no text of their own.
    assert {path.stem for path in (SOURCES / "licences").iterdir()} == set(Runtime) - {Runtime.TFLITE}


def test_the_facts_are_what_the_tools_read(apk: BuiltApk, both: tuple[BuiltApk, ...], shop: Workshop) -> None:
    assert apk.abis == (Abi.ARM64,)
    assert len(apk.signer_sha256) == 64
    # TensorFlow Lite 2.16.1 is older than 16 KB pages, and the record must show that.
    assert {native.page_bytes for native in apk.facts.natives} == {4096}
    assert built_apks(shop.out) == {Runtime.TFLITE: both}
    badging = shop.tools.run(Tool.AAPT2, "dump", "badging", apk.path, what="reading")
    assert "uses-permission" not in badging


def test_the_same_sources_make_the_same_bytes(apk: BuiltApk, shop: Workshop) -> None:
    first = (shop.work / "tflite/unsigned-arm64-v8a.apk").read_bytes()
    with compiling():
        for module in ("core", "tflite", "app"):
            shutil.rmtree(SOURCES / module / "target/classes")
            next((SOURCES / module / "target").glob("runner-*.jar")).unlink()
        (again,) = build_unsigned(Runtime.TFLITE, ApkOptions(abis=(Abi.ARM64,)), shop)
    assert again.path.read_bytes() == first
    assert again.version_name == apk.version_name


def test_a_machine_that_the_library_lacks_is_refused(shop: Workshop, tmp_path: Path) -> None:
    library = tmp_path / "one.aar"
    with zipfile.ZipFile(library, "w") as archive:
        archive.writestr("classes.jar", b"PK\x05\x06" + bytes(18))
        archive.writestr("jni/arm64-v8a/lib.so", b"elf")
    with pytest.raises(
        BuildError, match=r"one\.aar [0-9a-f]{12} has no native code for \['x86_64'\].*use --abi with arm64-v8a"
    ):
        build_unsigned(Runtime.ONNXRUNTIME, ApkOptions(abis=(Abi.X86_64,), library=library), shop)
