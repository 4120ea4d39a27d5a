"""What an IPA says about itself: the app, the processors that it is built for, and the profile that it is signed with.

An IPA is a zip with one folder ``Payload/NAME.app``. The provisioning profile in it is a property list inside a signed
message (CMS). Nothing here checks the signature; the iPhone does. It is read to say beforehand what the iPhone would
refuse with a number.
"""

from __future__ import annotations

import plistlib
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.usbmux import plain_udid
from harness.errors import IosTrouble, UsageError

DEFAULT_ID = "org.phonebench.runner"
_APP = re.compile(r"Payload/[^/]+\.app/")
# From <mach-o/loader.h> and <mach-o/fat.h>.
_MAGIC_64, _MAGIC_32, _FAT, _FAT_64 = 0xFEEDFACF, 0xFEEDFACE, 0xCAFEBABE, 0xCAFEBABF
_CPUS = {0x0100000C: "arm64", 12: "armv7", 0x01000007: "x86_64", 7: "i386"}
_ARM64E, _SUBTYPE_MASK = 2, 0x00FFFFFF
_BUILD_VERSION, _PLATFORM_SIMULATOR = 0x32, 7
_HEAD_BYTES = 64 << 10
_PROFILE = re.compile(rb"<\?xml.*?</plist>", re.DOTALL)
# What zipfile, zlib and plistlib raise for bytes that they cannot read, and what values of another type lead to.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ExpatError,
    struct.error,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A provisioning profile. ``udids`` is None if it is for every iPhone, as those of companies are."""

    name: str
    app_id: str
    expires: datetime
    udids: frozenset[str] | None
    debuggable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipa:
    """A runner app in a file. ``profile`` is None if it is not signed for development."""

    path: Path
    bundle_id: str
    executable: str
    version: str
    digest: str
    runtimes: tuple[str, ...]
    minimum_ios: str
    architectures: tuple[str, ...]
    profile: Profile | None


def read_ipa(path: Path) -> Ipa:
    """Read an IPA. Raises `UsageError` if the file is not an IPA, or if no iPhone can run it."""
    try:
        with zipfile.ZipFile(path) as archive:
            ipa = _read(path, archive)
    except OSError as error:
        msg = f"cannot read the IPA {str(path)!r}: {error.strerror or error}; check the path of --ipa"
        raise UsageError(msg) from error
    except _DAMAGED as error:
        msg = (
            f"{str(path)!r} is no IPA ({error}); give the .ipa that Xcode exports or phonebench runner build ios makes"
        )
        raise UsageError(msg) from error
    if "arm64" not in ipa.architectures:
        built = ", ".join(ipa.architectures) or "no processor that is known"
        msg = f"{str(path)!r} is built for {built}; an iPhone needs arm64: build it for a device, not for the simulator"
        raise UsageError(msg)
    return ipa


def check_ipa(ipa: Ipa, *, udid: str, ios: str, now: datetime | None = None) -> None:
    """Raise `IosError` if an iPhone would refuse to install or to start this app."""
    if _numbers(ios) < _numbers(ipa.minimum_ios):
        what = f"{named(udid)} has iOS {ios}, and {str(ipa.path)!r} needs iOS {ipa.minimum_ios}"
        raise ios_error(IosTrouble.TOO_OLD, what, udid=udid)
    fault = _fault(ipa, udid, now or datetime.now(UTC))
    if fault:
        raise ios_error(IosTrouble.PROFILE, f"{str(ipa.path)!r} {fault}", udid=udid)


def _fault(ipa: Ipa, udid: str, now: datetime) -> str:
    profile = ipa.profile
    if profile is None:
        return "is not signed: it has no provisioning profile (embedded.mobileprovision)"
    if profile.expires <= now:
        return f"has the profile {profile.name!r}, which expired on {profile.expires:%Y-%m-%d}"
    if profile.udids is not None and plain_udid(udid) not in map(plain_udid, profile.udids):
        return f"has the profile {profile.name!r}, which does not list {named(udid)}"
    allowed = profile.app_id.partition(".")[2]
    if not (allowed == ipa.bundle_id or (allowed.endswith("*") and ipa.bundle_id.startswith(allowed[:-1]))):
        return f"has the id {ipa.bundle_id!r}, and its profile {profile.name!r} is for {allowed!r}"
    if not profile.debuggable:
        return (
            f"has the profile {profile.name!r} without get-task-allow (as for TestFlight and the App Store), so that "
            "only a person can start it"
        )
    return ""


def _read(path: Path, archive: zipfile.ZipFile) -> Ipa:
    folder = next((match[0] for name in archive.namelist() if (match := _APP.match(name))), None)
    if folder is None:
        msg = "it has no folder Payload/NAME.app"
        raise ValueError(msg)
    info = plistlib.loads(archive.read(f"{folder}Info.plist"))
    executable = str(info["CFBundleExecutable"])
    with archive.open(f"{folder}{executable}") as program:
        architectures = architectures_of(program.read(_HEAD_BYTES))
    signed = f"{folder}embedded.mobileprovision"
    return Ipa(
        path=path,
        bundle_id=str(info["CFBundleIdentifier"]),
        executable=executable,
        version=str(info.get("CFBundleShortVersionString", "")),
        digest=str(info.get("PhonebenchRunnerDigest", "")),
        runtimes=tuple(map(str, info.get("PhonebenchRuntimes", ()))),
        minimum_ios=str(info.get("MinimumOSVersion", "0")),
        architectures=architectures,
        profile=read_profile(archive.read(signed)) if signed in archive.namelist() else None,
    )


def read_profile(data: bytes) -> Profile:
    """Read a provisioning profile. Raises `ValueError` if there is no property list in it."""
    match = _PROFILE.search(data)
    if match is None:
        msg = "its provisioning profile holds no property list"
        raise ValueError(msg)
    content: dict[str, Any] = plistlib.loads(match[0])
    entitlements = content.get("Entitlements", {})
    everywhere = bool(content.get("ProvisionsAllDevices"))
    return Profile(
        name=str(content.get("Name", "unnamed")),
        app_id=str(entitlements.get("application-identifier", "")),
        # Property lists give times in UTC, without saying so.
        expires=content["ExpirationDate"].replace(tzinfo=UTC),
        udids=None if everywhere else frozenset(content.get("ProvisionedDevices", ())),
        debuggable=bool(entitlements.get("get-task-allow")),
    )


def architectures_of(program: bytes) -> tuple[str, ...]:
    """Return the processors in the head of a Mach-O file, ``simulator`` added to those for the simulator's system."""
    (magic,) = struct.unpack_from(">I", program)
    if magic in (_FAT, _FAT_64):
        (count,) = struct.unpack_from(">I", program, 4)
        size = 20 if magic == _FAT else 32
        kinds = [struct.unpack_from(">II", program, 8 + size * index) for index in range(min(count, 16))]
        names = [_named_cpu(cpu, subtype) for cpu, subtype in kinds]
        # Nothing but a simulator runs the other half of such a file.
        simulated = any(name in ("x86_64", "i386") for name in names)
        return tuple(f"{name} simulator" if simulated else name for name in names)
    (magic,) = struct.unpack_from("<I", program)
    if magic not in (_MAGIC_64, _MAGIC_32):
        msg = "its program is no Mach-O file"
        raise ValueError(msg)
    cpu, subtype = struct.unpack_from("<II", program, 4)
    name = _named_cpu(cpu, subtype)
    return (f"{name} simulator",) if _platform(program) == _PLATFORM_SIMULATOR else (name,)


def _platform(program: bytes) -> int | None:
    """The platform in the load command LC_BUILD_VERSION of a 64-bit Mach-O file, None without."""
    count, offset = struct.unpack_from("<I", program, 16)[0], 32
    for _ in range(count):
        if offset + 12 > len(program):
            return None
        command, size, platform = struct.unpack_from("<III", program, offset)
        if command == _BUILD_VERSION:
            return int(platform)
        offset += size
    return None


def _named_cpu(cpu: int, subtype: int) -> str:
    name = _CPUS.get(cpu, f"processor {cpu:#x}")
    return "arm64e" if name == "arm64" and subtype & _SUBTYPE_MASK == _ARM64E else name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
