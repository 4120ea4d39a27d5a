"""Checks a built APK with Android's own tools, and refuses one that a phone would refuse."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError
from harness.runners.android.archive import PAGE_BYTES, data_offset
from harness.runners.android.elf import load_alignment
from harness.runners.android.records import Abi, NativeLibrary
from harness.runners.android.tools import Tool, Toolbox

MIN_SDK = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Badging:
    """What ``aapt2 dump badging`` reports about an APK."""

    app_id: str
    version_name: str
    min_sdk: int
    abis: tuple[str, ...]
    debuggable: bool


def read_badging(path: Path, tools: Toolbox) -> Badging:
    """Return the badging of an APK. Raises `BuildError`."""
    return parse_badging(tools.run(Tool.AAPT2, "dump", "badging", path, what=f"reading {path.name!r}"))


def parse_badging(text: str) -> Badging:
    """Parse the output of ``aapt2 dump badging``."""
    native = next((line for line in text.splitlines() if line.startswith("native-code:")), "")
    return Badging(
        app_id=_first(r"^package: name='([^']*)'", text),
        version_name=_first(r"^package:.* versionName='([^']*)'", text),
        # The name depends on the version of aapt2.
        min_sdk=int(_first(r"^(?:sdkVersion|minSdkVersion):'(\d+)'", text) or 0),
        abis=tuple(sorted(re.findall(r"'([^']*)'", native))),
        debuggable=bool(re.search(r"^application-debuggable", text, re.MULTILINE)),
    )


def signer(path: Path, tools: Toolbox) -> str:
    """Return the SHA-256 of the certificate that signed an APK, in hexadecimal. Raises `BuildError`."""
    output = tools.run(
        Tool.APKSIGNER,
        "verify",
        "--min-sdk-version",
        str(MIN_SDK),
        "--print-certs",
        path,
        what=f"checking the signature of {path.name!r}",
    )
    digest = _first(r"certificate SHA-256 digest: ([0-9a-f]{64})", output)
    if not digest:
        msg = f"apksigner names no signer of {path.name!r}; it printed: {output.strip()}"
        raise BuildError(msg)
    return digest


def native_libraries(path: Path) -> tuple[NativeLibrary, ...]:
    """Return the native libraries of an APK. Raises `BuildError` for a library that a phone could not map."""
    try:
        return _natives(path)
    except (OSError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError) as error:
        msg = f"{path.name!r} is no APK, or it is damaged ({error}): build it again"
        raise BuildError(msg) from error


def _natives(path: Path) -> tuple[NativeLibrary, ...]:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if info.filename.startswith("lib/")]
        repeated = [name for name, count in Counter(archive.namelist()).items() if count > 1]
        if repeated:
            msg = f"{path.name!r} contains {repeated[0]!r} twice: two libraries clash"
            raise BuildError(msg)
        for info in infos:
            offset = data_offset(archive, info)
            if info.compress_type != zipfile.ZIP_STORED or offset % PAGE_BYTES:
                where = f"{info.filename!r} in {path.name!r} is at byte {offset}, or compressed"
                msg = f"{where}; it must be stored uncompressed at a multiple of {PAGE_BYTES}"
                raise BuildError(msg)
        return tuple(_native(archive, info) for info in infos)


def check_badging(badging: Badging, *, right: Badging) -> None:
    """Raise `BuildError` unless the badging of an APK is the ``right`` one for its build."""
    for field in ("app_id", "version_name", "min_sdk", "abis", "debuggable"):
        if getattr(badging, field) != getattr(right, field):
            msg = f"the APK's {field} is wrong: got {getattr(badging, field)!r}, expected {getattr(right, field)!r}"
            raise BuildError(msg)


def expected(*, app_id: str, version_name: str, abis: tuple[Abi, ...], debuggable: bool) -> Badging:
    """Return the badging that a correct build has."""
    return Badging(
        app_id=app_id,
        version_name=version_name,
        min_sdk=MIN_SDK,
        abis=tuple(sorted(abi.value for abi in abis)),
        debuggable=debuggable,
    )


def _native(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NativeLibrary:
    _, abi, name = info.filename.split("/")
    page_bytes = load_alignment(archive.read(info), name=info.filename)
    return NativeLibrary(name=name, abi=Abi(abi), bytes=info.file_size, page_bytes=page_bytes)


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""
