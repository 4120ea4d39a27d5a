"""Reads an APK with the tools of an Android SDK: aapt for the manifest, apksigner for the signer."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

TOOLS = ("aapt", "apksigner")


class Refusal(StrEnum):
    """The phone's codes for a refused installation."""

    ALREADY_EXISTS = "INSTALL_FAILED_ALREADY_EXISTS"
    BAD_MANIFEST = "INSTALL_PARSE_FAILED_BAD_MANIFEST"
    INSUFFICIENT_STORAGE = "INSTALL_FAILED_INSUFFICIENT_STORAGE"
    INVALID_APK = "INSTALL_FAILED_INVALID_APK"
    MANIFEST_MALFORMED = "INSTALL_PARSE_FAILED_MANIFEST_MALFORMED"
    NOT_APK = "INSTALL_PARSE_FAILED_NOT_APK"
    NO_CERTIFICATES = "INSTALL_PARSE_FAILED_NO_CERTIFICATES"
    NO_MATCHING_ABIS = "INSTALL_FAILED_NO_MATCHING_ABIS"
    OLDER_SDK = "INSTALL_FAILED_OLDER_SDK"
    UPDATE_INCOMPATIBLE = "INSTALL_FAILED_UPDATE_INCOMPATIBLE"
    USER_RESTRICTED = "INSTALL_FAILED_USER_RESTRICTED"
    VERSION_DOWNGRADE = "INSTALL_FAILED_VERSION_DOWNGRADE"


class ApkError(Exception):
    """A file that a phone would not install as an APK; ``code`` is the phone's reason."""

    def __init__(self, code: Refusal, why: str) -> None:
        self.code = code
        super().__init__(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apk:
    """The part of an APK that decides whether and how it is installed."""

    package: str
    version_code: int
    version_name: str
    min_api: int
    target_api: int
    debuggable: bool
    abis: tuple[str, ...]
    signer: str
    activities: tuple[str, ...]
    authorities: tuple[str, ...]
    door: str
    """The process of its provider, the app's name if the manifest names none."""


_read: dict[str, Apk] = {}
_lock = threading.Lock()


def missing_tools() -> str:
    """Return the tools for reading an APK that are missing here; empty if none is."""
    return " ".join(tool for tool in TOOLS if shutil.which(tool) is None)


def read_apk(path: Path) -> Apk:
    """Read an APK. Equal files are read once per process, since the tools take a second. Raises `ApkError`."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with _lock:
        if sha256 not in _read:
            _read[sha256] = _read_now(path)
        return _read[sha256]


def _read_now(path: Path) -> Apk:
    badging = _run("aapt", "dump", "badging", path, code=Refusal.NOT_APK)
    tree = _run("aapt", "dump", "xmltree", path, "AndroidManifest.xml", code=Refusal.BAD_MANIFEST)
    signed = _run("apksigner", "verify", "--print-certs", path, code=Refusal.NO_CERTIFICATES)
    package = re.search(r"^package: name='([^']*)' versionCode='(\d*)' versionName='([^']*)'", badging, re.MULTILINE)
    signer = re.search(r"certificate SHA-256 digest: (\w+)", signed)
    if package is None or signer is None:
        raise ApkError(Refusal.MANIFEST_MALFORMED, "no package or no signer")
    native = re.search(r"^native-code: (.*)$", badging, re.MULTILINE)
    return Apk(
        package=package[1],
        version_code=int(package[2] or 0),
        version_name=package[3],
        min_api=_number(badging, "sdkVersion", 1),
        target_api=_number(badging, "targetSdkVersion", 1),
        debuggable="application-debuggable" in badging.split(),
        abis=tuple(re.findall(r"'([^']+)'", native[1])) if native else (),
        signer=signer[1],
        activities=_named(tree, "activity", "name", package[1]),
        authorities=_named(tree, "provider", "authorities", ""),
        door=_process(tree, package[1]),
    )


def _number(badging: str, name: str, otherwise: int) -> int:
    found = re.search(rf"^{name}:'(\d+)'", badging, re.MULTILINE)
    return int(found[1]) if found else otherwise


def _named(tree: str, element: str, attribute: str, package: str) -> tuple[str, ...]:
    """The values of an attribute of every such element; a class name with a leading dot is relative to the package."""
    found = []
    for part in re.split(r"\bE: ", tree)[1:]:
        value = re.search(rf'A: android:{attribute}\(0x[0-9a-f]+\)="([^"]*)"', part)
        if part.startswith(f"{element} ") and value:
            found.append(package + value[1] if value[1].startswith(".") else value[1])
    return tuple(found)


def _process(tree: str, package: str) -> str:
    """The process of the app's provider: a name with a leading colon is added to the package's."""
    named = next(iter(_named(tree, "provider", "process", "")), "")
    return package + named if named.startswith(":") else named or package


def _run(tool: str, *args: str | Path, code: Refusal) -> str:
    done = subprocess.run([tool, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr or done.stdout).strip().splitlines()[-1:] or [""]
        raise ApkError(code, why[0])
    return done.stdout
