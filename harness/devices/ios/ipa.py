"""What an IPA says about itself: the app, the processors that it is built for, and the profile that it is signed with.

An IPA is a zip with one folder ``Payload/NAME.app``. The provisioning profile in it is a property list inside a signed
message (CMS). Nothing here checks the signature; the iPhone does. It is read to say beforehand what the iPhone would
refuse with a number.
"""

from __future__ import annotations

import lzma
import plistlib
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
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
_BUILD_VERSION, _ENCRYPTION, _ENCRYPTION_64 = 0x32, 0x21, 0x2C
_IOS, _SYSTEM = 2, "iOS"
_PLATFORMS = {
    1: "macOS",
    3: "tvOS",
    4: "watchOS",
    6: "Mac Catalyst",
    7: "simulator",
    8: "tvOS simulator",
    9: "watchOS simulator",
    11: "visionOS",
    12: "visionOS simulator",
}
_HEAD_BYTES = 64 << 10
# Far more than any Info.plist or profile has; a zip can promise any size.
_MOST_BYTES = 16 << 20
# What Apple allows in CFBundleIdentifier.
_BUNDLE_ID = re.compile(r"[A-Za-z0-9.-]+")
_PROFILE = re.compile(rb"<\?xml.*?</plist>", re.DOTALL)
# What zipfile, zlib and plistlib raise for bytes that they cannot read, and what values of another type lead to.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
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
    """A provisioning profile. ``udids`` is None if it covers every iPhone, as an enterprise profile does.

    ``systems`` are Apple's names of the systems that it is for.
    """

    name: str
    app_id: str
    expires: datetime
    udids: frozenset[str] | None
    debuggable: bool
    systems: tuple[str, ...]


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
        msg = (
            f"{str(path)!r} is built for {built}; an iPhone needs arm64 for iOS: build it for a device, not for the "
            "simulator"
        )
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
    if _SYSTEM not in profile.systems:
        return (
            f"has the profile {profile.name!r}, which is for {', '.join(profile.systems) or 'no system'}, not for iOS"
        )
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
    folder = _app_folder(archive)
    info = plistlib.loads(_small_file(archive, f"{folder}Info.plist"))
    executable = _value(info, "CFBundleExecutable")
    with archive.open(f"{folder}{executable}") as program:
        architectures = architectures_of(program)
    signed = f"{folder}embedded.mobileprovision"
    return Ipa(
        path=path,
        bundle_id=_bundle_id(info),
        executable=executable,
        version=str(info.get("CFBundleShortVersionString", "")),
        digest=str(info.get("PhonebenchRunnerDigest", "")),
        runtimes=_runtimes(info),
        minimum_ios=str(info.get("MinimumOSVersion", "0")),
        architectures=architectures,
        profile=read_profile(_small_file(archive, signed)) if signed in archive.namelist() else None,
    )


def _app_folder(archive: zipfile.ZipFile) -> str:
    folders = sorted({match[0] for name in archive.namelist() if (match := _APP.match(name))})
    if len(folders) == 1:
        return folders[0]
    msg = f"it has {len(folders)} apps: {', '.join(folders)}" if folders else "it has no folder Payload/NAME.app"
    raise ValueError(msg)


def _small_file(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of a file that is small in any app. Raises `ValueError` if it is not."""
    with archive.open(name) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        msg = f"its {name.rpartition('/')[2]} has more than {_MOST_BYTES >> 20} MiB"
        raise ValueError(msg)
    return data


def _value(info: dict[str, Any], key: str) -> str:
    if not info.get(key):
        msg = f"its Info.plist has no {key}"
        raise ValueError(msg)
    return str(info[key])


def _bundle_id(info: dict[str, Any]) -> str:
    bundle_id = _value(info, "CFBundleIdentifier")
    if not _BUNDLE_ID.fullmatch(bundle_id):
        msg = f"its bundle id is {bundle_id!r}: only letters, digits, hyphens and dots may be in one"
        raise ValueError(msg)
    return bundle_id


def _runtimes(info: dict[str, Any]) -> tuple[str, ...]:
    names = info.get("PhonebenchRuntimes", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        msg = f"its PhonebenchRuntimes are {names!r}, not a list of formats"
        raise ValueError(msg)
    return tuple(names)


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
        udids=None if everywhere else frozenset(map(str, content.get("ProvisionedDevices", ()))),
        debuggable=entitlements.get("get-task-allow") is True,
        systems=tuple(map(str, content.get("Platform", (_SYSTEM,)))),
    )


def architectures_of(program: IO[bytes]) -> tuple[str, ...]:
    """Return the processors in a Mach-O file, with the system added to those that are not for iOS.

    Raises `ValueError` for another file, and for a program that the App Store has encrypted.
    """
    head = program.read(_HEAD_BYTES)
    (magic,) = struct.unpack_from(">I", head)
    if magic not in (_FAT, _FAT_64):
        return (_architecture(head),)
    (count,) = struct.unpack_from(">I", head, 4)
    layout = ">5I" if magic == _FAT else ">2I2Q2I"
    entries = [struct.unpack_from(layout, head, 8 + struct.calcsize(layout) * index) for index in range(min(count, 16))]
    return tuple(_part(program, *entry[:3]) for entry in sorted(entries, key=lambda entry: entry[2]))


def _part(program: IO[bytes], cpu: int, subtype: int, offset: int) -> str:
    """The processor of the part of a file at ``offset``, which is for ``cpu`` and ``subtype`` by the file's head."""
    program.seek(offset)
    head = program.read(_HEAD_BYTES)
    return _architecture(head) if head else _named_cpu(cpu, subtype)


def _architecture(head: bytes) -> str:
    (magic,) = struct.unpack_from("<I", head)
    if magic not in (_MAGIC_64, _MAGIC_32):
        msg = "its program is no Mach-O file"
        raise ValueError(msg)
    name = _named_cpu(*struct.unpack_from("<II", head, 4))
    system = ""
    for command, start in _load_commands(head, 32 if magic == _MAGIC_64 else 28):
        (value,) = struct.unpack_from("<I", head, start + (8 if command == _BUILD_VERSION else 16))
        if command == _BUILD_VERSION:
            system = "" if value == _IOS else _PLATFORMS.get(value, f"system {value}")
        elif value:
            msg = "its program is encrypted, as those from the App Store are"
            raise ValueError(msg)
    return f"{name} {system}".strip()


def _load_commands(head: bytes, offset: int) -> list[tuple[int, int]]:
    """The commands that say for what a program was built and whether it is encrypted, each with where it begins."""
    found = []
    (count,) = struct.unpack_from("<I", head, 16)
    for _ in range(count):
        if offset + 20 > len(head):
            break
        command, size = struct.unpack_from("<II", head, offset)
        if size < struct.calcsize("<II"):
            msg = "its program is no Mach-O file: a load command has no length"
            raise ValueError(msg)
        if command in (_BUILD_VERSION, _ENCRYPTION, _ENCRYPTION_64):
            found.append((command, offset))
        offset += size
    return found


def _named_cpu(cpu: int, subtype: int) -> str:
    name = _CPUS.get(cpu, f"processor {cpu:#x}")
    return "arm64e" if name == "arm64" and subtype & _SUBTYPE_MASK == _ARM64E else name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
