"""Reads an APK back with Android's own tools, and refuses one that a phone would refuse."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError
from harness.runners.android.archive import PAGE_BYTES, data_offset
from harness.runners.android.elf import load_alignment
from harness.runners.android.records import Abi, NativeLibrary
from harness.runners.android.tools import Tool, Toolbox

MIN_SDK = 26
_ACTIVITY = "org.phonebench.runner.RunnerActivity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Badging:
    """What ``aapt2 dump badging`` says of an APK."""

    app_id: str
    version_name: str
    min_sdk: int
    activity: str
    abis: tuple[str, ...]
    debuggable: bool


def read_badging(path: Path, tools: Toolbox) -> Badging:
    """Return the badging of an APK. Raises `BuildError`."""
    return parse_badging(tools.run(Tool.AAPT2, "dump", "badging", path, what=f"reading {path.name!r}"))


def parse_badging(text: str) -> Badging:
    """Read the text of ``aapt2 dump badging``."""
    native = next((line for line in text.splitlines() if line.startswith("native-code:")), "")
    return Badging(
        app_id=_first(r"^package: name='([^']*)'", text),
        version_name=_first(r"^package:.* versionName='([^']*)'", text),
        min_sdk=int(_first(r"^(?:sdkVersion|minSdkVersion):'(\d+)'", text) or 0),
        activity=_first(r"^launchable-activity: name='([^']*)'", text),
        abis=tuple(sorted(re.findall(r"'([^']*)'", native))),
        debuggable=bool(re.search(r"^application-debuggable", text, re.MULTILINE)),
    )


def signer(path: Path, tools: Toolbox) -> str:
    """Return the SHA-256 of the certificate that signed an APK, in hexadecimal. Raises `BuildError`."""
    said = tools.run(
        Tool.APKSIGNER,
        "verify",
        "--min-sdk-version",
        str(MIN_SDK),
        "--print-certs",
        path,
        what=f"checking the signature of {path.name!r}",
    )
    found = _first(r"certificate SHA-256 digest: ([0-9a-f]{64})", said)
    if not found:
        msg = f"apksigner names no signer of {path.name!r}; it said: {said.strip()}"
        raise BuildError(msg)
    return found


def native_libraries(path: Path) -> tuple[NativeLibrary, ...]:
    """Return the native libraries of an APK. Raises `BuildError` for one that a phone could not map or tell apart."""
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if info.filename.startswith("lib/")]
        twice = [name for name, count in Counter(archive.namelist()).items() if count > 1]
        if twice:
            msg = f"{path.name!r} has {twice[0]!r} twice: two libraries clash"
            raise BuildError(msg)
        for info in infos:
            offset = data_offset(archive, info)
            if info.compress_type != zipfile.ZIP_STORED or offset % PAGE_BYTES:
                where = f"{info.filename!r} in {path.name!r} is at byte {offset}, or packed"
                msg = f"{where}: it must be stored at a multiple of {PAGE_BYTES}"
                raise BuildError(msg)
        return tuple(_native(archive, info) for info in infos)


def check_same_everywhere(natives: tuple[NativeLibrary, ...]) -> None:
    """Raise `BuildError` unless every machine has the same set of libraries: a phone takes one folder alone."""
    by_abi = {abi: {n.name for n in natives if n.abi is abi} for abi in {n.abi for n in natives}}
    every = set().union(*by_abi.values())
    for abi, names in by_abi.items():
        if names != every:
            msg = f"the native libraries for {abi.value} lack {sorted(every - names)}, which other machines have"
            raise BuildError(msg)


def check_badging(found: Badging, *, wanted: Badging) -> None:
    """Raise `BuildError` unless an APK says of itself what it was built to be."""
    for field in ("app_id", "version_name", "min_sdk", "activity", "abis", "debuggable"):
        if getattr(found, field) != getattr(wanted, field):
            msg = f"the APK's {field} is {getattr(found, field)!r}, built was {getattr(wanted, field)!r}"
            raise BuildError(msg)


def expected(*, app_id: str, version_name: str, abis: tuple[Abi, ...], debuggable: bool) -> Badging:
    """Return the badging that a right build has."""
    return Badging(
        app_id=app_id,
        version_name=version_name,
        min_sdk=MIN_SDK,
        activity=_ACTIVITY,
        abis=tuple(sorted(abi.value for abi in abis)),
        debuggable=debuggable,
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _native(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NativeLibrary:
    _, abi, name = info.filename.split("/")
    page_bytes = load_alignment(archive.read(info), name=info.filename)
    return NativeLibrary(name=name, abi=Abi(abi), bytes=info.file_size, page_bytes=page_bytes)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""
