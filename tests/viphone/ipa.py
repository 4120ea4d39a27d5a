"""What an IPA says about itself: Info.plist, its provisioning profile, and the architectures of its program."""

from __future__ import annotations

import plistlib
import re
import struct
import zipfile
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.viphone.der import signed_content

MACH_64, FAT = 0xFEEDFACF, 0xCAFEBABE
ARCHITECTURES = {(0x0100000C, 0): "arm64", (0x0100000C, 2): "arm64e", (0x01000007, 3): "x86_64"}
PLATFORMS = {1: "macos", 2: "ios", 7: "ios-simulator"}
CODE_SIGNATURE, BUILD_VERSION = 0x1D, 0x32


class Refused(StrEnum):
    """Why an app is not installed, in installd's words."""

    EXTRACTION = "PackageExtractionFailed"
    INSPECTION = "PackageInspectionFailed"
    IOS = "DeviceOSVersionTooLow"
    ARCHITECTURE = "IncorrectArchitecture"
    VERIFICATION = "ApplicationVerificationFailed"


class IpaError(Exception):
    """The phone does not install this file."""

    def __init__(self, refused: Refused, why: str) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The provisioning profile of an app; empty ``devices`` with ``all_devices`` is an enterprise profile."""

    name: str
    expires: datetime
    devices: tuple[str, ...]
    all_devices: bool
    entitlements: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One architecture of a program."""

    architecture: str
    platform: str
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipa:
    """An app as it came; ``app`` is its folder in the archive."""

    app: str
    info: dict[str, Any]
    profile: Profile | None
    slices: tuple[Slice, ...]
    bytes_unpacked: int

    @property
    def bundle_id(self) -> str:
        """The name under which it is installed."""
        return str(self.info["CFBundleIdentifier"])

    @property
    def debuggable(self) -> bool:
        """Whether it is signed for development, so that its container may be read and it may be debugged."""
        return self.profile is not None and bool(self.profile.entitlements.get("get-task-allow"))


def read_ipa(file: Path) -> Ipa:
    """Read an IPA; raises `IpaError`."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, OSError) as error:
        msg = f"Could not extract archive at {file.name}"
        raise IpaError(Refused.EXTRACTION, msg) from error


def _read(archive: zipfile.ZipFile) -> Ipa:
    found = (re.fullmatch(r"(Payload/[^/]+\.app)/Info\.plist", name) for name in archive.namelist())
    app = next((match[1] for match in found if match), None)
    if app is None:
        msg = "Failed to find Payload/*.app/Info.plist in the package"
        raise IpaError(Refused.INSPECTION, msg)
    info = plistlib.loads(archive.read(f"{app}/Info.plist"))
    names = set(archive.namelist())
    program, profile = f"{app}/{info.get('CFBundleExecutable', '')}", f"{app}/embedded.mobileprovision"
    if program not in names:
        msg = f"Failed to locate the executable {program}"
        raise IpaError(Refused.INSPECTION, msg)
    return Ipa(
        app=app,
        info=info,
        profile=read_profile(archive.read(profile)) if profile in names else None,
        slices=read_slices(archive.read(program)),
        bytes_unpacked=sum(entry.file_size for entry in archive.infolist()),
    )


def read_profile(data: bytes) -> Profile:
    """Read embedded.mobileprovision, a signed message with a property list; raises `ValueError`."""
    said = plistlib.loads(signed_content(data))
    return Profile(
        name=said.get("Name", ""),
        expires=said["ExpirationDate"],
        devices=tuple(said.get("ProvisionedDevices", ())),
        all_devices=bool(said.get("ProvisionsAllDevices")),
        entitlements=said.get("Entitlements", {}),
    )


def read_slices(data: bytes) -> tuple[Slice, ...]:
    """Read the headers of a Mach-O file, thin or fat; empty if it is none."""
    if len(data) < 32:
        return ()
    if struct.unpack_from(">I", data)[0] == FAT:
        (count,) = struct.unpack_from(">I", data, 4)
        places = [struct.unpack_from(">IIIII", data, 8 + 20 * number)[2:4] for number in range(count)]
        return tuple(part for at, size in places for part in read_slices(data[at : at + size]))
    magic, cpu, subtype, _, commands = struct.unpack_from("<IIIII", data)
    if magic != MACH_64:
        return ()
    at, platform, signed = 32, "ios", False
    for _ in range(commands):
        command, size = struct.unpack_from("<II", data, at)
        if command == BUILD_VERSION:
            platform = PLATFORMS.get(struct.unpack_from("<I", data, at + 8)[0], "unknown")
        signed = signed or command == CODE_SIGNATURE
        at += size
    architecture = ARCHITECTURES.get((cpu, subtype & 0xFFFFFF), "unknown")
    return (Slice(architecture=architecture, platform=platform, signed=signed),)
