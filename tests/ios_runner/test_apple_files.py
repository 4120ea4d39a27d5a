"""What only Apple's systems run: its types are checked here against stubs, and the stubs against Apple's names."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.runners.ios.libraries import Target, fetch_libraries
from tests.ios_runner.apple_names import GOLDEN, STUBS, all_declared, constant_of, selector_of
from tests.ios_runner.swift import LIBRARIES, RUNNER, building, built_desktop, in_toolchain
from tests.ios_runner.test_swift_runner import pytestmark as needs_swift

PROBE = RUNNER / "Sources/CProbe"
slow = pytest.mark.slow
needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="missing: ziglang; pip install 'phonebench[dev]'"
)
needs_cc = pytest.mark.skipif(not Path("/usr/bin/cc").exists(), reason="missing: cc; apt-get install gcc libc6-dev")


def golden() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return facts


def test_every_name_in_the_stubs_is_one_of_apple() -> None:
    """A name that Apple does not have would let code through that cannot be compiled on a Mac."""
    methods = set(golden()["methods"])
    members = [member for member in all_declared() if member.value is None]
    assert len(members) > 40
    assert [m.path for m in members if f"{m.type} {selector_of(m)}" not in methods] == []


def test_every_value_in_the_stubs_is_that_of_apple() -> None:
    constants = golden()["constants"]
    cases = {constant_of(member): member.value for member in all_declared() if member.value is not None}
    assert len(cases) > 15
    assert cases == {name: constants.get(name) for name in cases}


class Checked:
    """The compiler with the stubs as modules."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("CoreML", "CryptoKit", "Security", "UIKit"):
            output = folder / f"{name}.swiftmodule"
            done = self._swiftc(
                "-emit-module", "-parse-as-library", "-module-name", name, "-o", output, folder / f"{name}.swift"
            )
            assert done.returncode == 0, done.stdout

    def adapters(self, sources: list[Path]) -> subprocess.CompletedProcess[str]:
        """Check the files that use Core ML, and leave their module for the app."""
        module = self._folder / "AppleAdapters.swiftmodule"
        return self._swiftc(
            "-emit-module", "-parse-as-library", "-module-name", "AppleAdapters", "-o", module, *self._ours(), *sources
        )

    def app(self, sources: list[Path]) -> subprocess.CompletedProcess[str]:
        """Check the files of the app."""
        name = "PhonebenchRunner"
        return self._swiftc("-typecheck", "-parse-as-library", "-module-name", name, *self._ours(), *sources)

    def _ours(self) -> list[str | Path]:
        built = RUNNER / ".build/release"
        maps = [built / f"{name}.build/module.modulemap" for name in ("CProbe", "CTFLite", "CKit")]
        maps.append(RUNNER / "Sources/COnnxRuntime/module.modulemap")
        flags = [word for path in maps for word in ("-Xcc", f"-fmodule-map-file={path}")]
        return ["-I", self._folder, "-I", built / "Modules", *flags]

    def _swiftc(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return in_toolchain("swiftc", "-swift-version", "6", *map(str, arguments))


@pytest.fixture(scope="module")
def checked() -> Checked:
    """The stubs, compiled inside the checkout, which is all that the toolchain sees."""
    built_desktop()
    folder = RUNNER / ".build/stubs"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(STUBS, folder)
    with building():
        return Checked(folder)


@slow
@needs_swift[1]
def test_the_types_of_the_app_and_of_core_ml_are_right(checked: Checked) -> None:
    adapters = checked.adapters(sorted((RUNNER / "Sources/AppleAdapters").glob("*.swift")))
    assert (adapters.returncode, adapters.stdout) == (0, "")
    app = checked.app(sorted((RUNNER / "Sources/App").glob("*.swift")))
    assert (app.returncode, app.stdout) == (0, "")


@slow
@needs_swift[1]
def test_a_wrong_name_is_an_error(checked: Checked) -> None:
    """Otherwise the check above would show nothing."""
    source = RUNNER / ".build/stubs/Wrong.swift"
    source.write_text("import CoreML\nlet units: MLComputeUnits = .tpu\n", encoding="utf-8")
    done = checked.app([source])
    assert done.returncode != 0
    assert "has no member 'tpu'" in done.stdout


@needs_zig
@pytest.mark.parametrize("target", ["aarch64-macos", "aarch64-ios"])
def test_the_memory_probe_compiles_for_apple_systems(tmp_path: Path, target: str) -> None:
    folder = importlib.util.find_spec("ziglang")
    assert folder is not None
    assert folder.origin is not None
    # Zig has one set of headers for all of Apple's systems, but looks for them only for macOS.
    headers = Path(folder.origin).parent / "lib/libc/include/any-darwin-any"
    for source in ("darwin.c", "clock.c"):
        command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=c11", "-Wall", "-Werror", "-c"]
        command += ["-isystem", str(headers), "-I", str(PROBE / "include"), str(PROBE / source)]
        command += ["-o", str(tmp_path / f"{source}.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        # A Mach-O file of 64 bits for ARM.
        head = (tmp_path / f"{source}.o").read_bytes()[:8]
        assert head == bytes.fromhex("cffaedfe0c000001"), shlex.join(command)
    # Only iOS has a limit for each app.
    assert (b"os_proc_available_memory" in (tmp_path / "darwin.c.o").read_bytes()) == (target == "aarch64-ios")


@slow
@needs_cc
@needs_swift[1]
def test_our_declarations_of_tensorflow_lite_are_those_of_its_header(tmp_path: Path) -> None:
    """A function that is declared with other types than the library's would be called with garbage."""
    fetch_libraries(LIBRARIES, Target.LINUX)
    listed = (RUNNER / "Sources/CTFLite/include/tflite_functions.h").read_text(encoding="utf-8")
    names = re.findall(r"X\((TfLite\w+)\)", listed.partition("OPTIONAL")[0])
    assert len(names) == 23
    # The one with a type of our own, which has the same layout.
    names.remove("TfLiteTensorQuantizationParams")
    source = tmp_path / "check.c"
    source.write_text(
        '#include "tensorflow/lite/c/c_api.h"\n#include "tflite_table.h"\n'
        f"void check(pb_tflite *table) {{ {' '.join(f'table->{name} = {name};' for name in names)} }}\n"
        '_Static_assert(sizeof(pb_quantisation) == sizeof(TfLiteQuantizationParams), "");\n'
        '_Static_assert(PB_TFLITE_FLOAT32 == kTfLiteFloat32 && PB_TFLITE_INT32 == kTfLiteInt32, "");\n'
        '_Static_assert(PB_TFLITE_UINT8 == kTfLiteUInt8 && PB_TFLITE_INT64 == kTfLiteInt64, "");\n'
        '_Static_assert(PB_TFLITE_BOOL == kTfLiteBool && PB_TFLITE_INT16 == kTfLiteInt16, "");\n'
        '_Static_assert(PB_TFLITE_INT8 == kTfLiteInt8 && PB_TFLITE_FLOAT16 == kTfLiteFloat16, "");\n'
        '_Static_assert(PB_TFLITE_FLOAT64 == kTfLiteFloat64 && PB_TFLITE_UINT64 == kTfLiteUInt64, "");\n'
        '_Static_assert(PB_TFLITE_UINT32 == kTfLiteUInt32, "");\n'
    )
    command = ["cc", "-std=c11", "-Werror=incompatible-pointer-types", "-fsyntax-only", str(source)]
    command += ["-I", str(LIBRARIES / "tflite/include"), "-I", str(RUNNER / "Sources/CTFLite/include")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
