"""What is said about an IPA before it is installed. The files are written here by hand, as Apple documents them."""

from __future__ import annotations

import plistlib
import struct
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from harness.devices.ios.ipa import architectures_of, check_ipa, read_ipa
from harness.errors import IosError, IosTrouble, UsageError

UDID = "00008120-0000AA0000000001"
NOW = datetime(2026, 11, 30, tzinfo=UTC)
ARM64, X86_64 = 0x0100000C, 0x01000007
MACOS, IOS, SIMULATOR = 1, 2, 7
INFO = {
    "CFBundleIdentifier": "org.phonebench.runner",
    "CFBundleExecutable": "Runner",
    "CFBundleShortVersionString": "0.1.0",
    "MinimumOSVersion": "15.1",
    "PhonebenchRunnerDigest": "abc",
    "PhonebenchRuntimes": ["onnx", "tflite"],
}
Write = Callable[..., Path]


def program(cpu: int = ARM64, platform: int = IOS, subtype: int = 0, *further: bytes) -> bytes:
    """The head of a Mach-O file whose first load command says what system it is for."""
    commands = (struct.pack("<6I", 0x32, 24, platform, 0, 0, 0), *further)
    body = b"".join(commands)
    return struct.pack("<8I", 0xFEEDFACF, cpu, subtype, 2, len(commands), len(body), 0, 0) + body


def encryption(kind: int) -> bytes:
    """The load command LC_ENCRYPTION_INFO_64, with what Apple's loader calls the id of the encryption."""
    return struct.pack("<6I", 0x2C, 24, 0x4000, 0x8000, kind, 0)


def fat(*cpus: int, platform: int = IOS) -> bytes:
    """A file with a program for each of several processors."""
    programs = [program(cpu, platform) for cpu in cpus]
    head = struct.pack(">2I", 0xCAFEBABE, len(cpus))
    for number, cpu in enumerate(cpus, 1):
        head += struct.pack(">5I", cpu, 0, 4096 * number, len(programs[number - 1]), 12)
    return b"".join(part.ljust(4096, b"\0") for part in (head, *programs))


def profile(**changes: Any) -> bytes:
    """A profile in the middle of other bytes, as it lies in its signed message."""
    content = {
        "Name": "team profile",
        "ExpirationDate": datetime(2026, 12, 6),  # noqa: DTZ001  property lists have no time zones
        "ProvisionedDevices": [UDID],
        "Entitlements": {"application-identifier": "TEAM.org.phonebench.runner", "get-task-allow": True},
    }
    return b"\x30\x82signed" + plistlib.dumps(content | changes) + b"\x00certificates"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an IPA; a part that is None is left out."""

    def make(
        info: dict[str, Any] | None = INFO,
        code: bytes | None = None,
        signed: bytes | None = None,
        folder: str = "Payload/Runner.app",
    ) -> Path:
        path = tmp_path / "Runner.ipa"
        with zipfile.ZipFile(path, "w") as archive:
            if info is not None:
                archive.writestr(f"{folder}/Info.plist", plistlib.dumps(info, fmt=plistlib.FMT_BINARY))
            archive.writestr(f"{folder}/Runner", program() if code is None else code)
            if signed is not None:
                archive.writestr(f"{folder}/embedded.mobileprovision", signed)
        return path

    return make


def test_an_ipa_says_what_it_is(write: Write) -> None:
    ipa = read_ipa(write(signed=profile()))
    assert (ipa.bundle_id, ipa.version, ipa.digest) == ("org.phonebench.runner", "0.1.0", "abc")
    assert (ipa.executable, ipa.runtimes, ipa.minimum_ios) == ("Runner", ("onnx", "tflite"), "15.1")
    assert ipa.architectures == ("arm64",)
    assert ipa.profile is not None
    assert ipa.profile.expires == datetime(2026, 12, 6, tzinfo=UTC)
    check_ipa(ipa, udid=UDID, ios="17.4", now=NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ExpirationDate": datetime(2026, 11, 29)}, "expired on 2026-11-29"),  # noqa: DTZ001  as above
        ({"ProvisionedDevices": ["another"]}, f"does not list iPhone '{UDID}'"),
        ({"ProvisionedDevices": []}, "does not list"),
        ({"ProvisionedDevices": [1, 2]}, "does not list"),
        ({"Platform": ["tvOS"]}, "which is for tvOS, not for iOS"),
        ({"Entitlements": {"application-identifier": "TEAM.org.other", "get-task-allow": True}}, "is for 'org.other'"),
        ({"Entitlements": {"application-identifier": "TEAM.*"}}, "without get-task-allow"),
        ({"Entitlements": {"application-identifier": "TEAM.*", "get-task-allow": "false"}}, "without get-task-allow"),
    ],
)
def test_a_profile_that_the_iphone_would_refuse(write: Write, changes: dict[str, Any], words: str) -> None:
    ipa = read_ipa(write(signed=profile(**changes)))
    with pytest.raises(IosError, match=words) as raised:
        check_ipa(ipa, udid=UDID, ios="17.4", now=NOW)
    assert raised.value.trouble is IosTrouble.PROFILE
    assert "sign the app again" in str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"ProvisionsAllDevices": True, "ProvisionedDevices": []},
        {"Platform": ["iOS", "xrOS", "visionOS"]},
        {"Entitlements": {"application-identifier": "TEAM.org.*", "get-task-allow": True}},
        {"ExpirationDate": NOW.replace(tzinfo=None) + timedelta(seconds=1)},
        {"ProvisionedDevices": ["another", UDID.replace("-", "").lower()]},
    ],
)
def test_a_profile_that_fits(write: Write, changes: dict[str, Any]) -> None:
    check_ipa(read_ipa(write(signed=profile(**changes))), udid=UDID, ios="15.1", now=NOW)


def test_an_app_that_is_not_signed(write: Write) -> None:
    with pytest.raises(IosError, match="is not signed"):
        check_ipa(read_ipa(write()), udid=UDID, ios="17.4", now=NOW)


@pytest.mark.parametrize("ios", ["15.1", "15.1.1", "26.0"])
def test_an_app_for_this_ios_or_an_older_one(write: Write, ios: str) -> None:
    check_ipa(read_ipa(write(signed=profile())), udid=UDID, ios=ios, now=NOW)


@pytest.mark.parametrize("ios", ["15.0.2", "14.8"])
def test_an_app_for_a_newer_ios(write: Write, ios: str) -> None:
    ipa = read_ipa(write(signed=profile()))
    with pytest.raises(IosError, match=f"has iOS {ios}, and .* needs iOS 15.1") as raised:
        check_ipa(ipa, udid=UDID, ios=ios, now=NOW)
    assert raised.value.trouble is IosTrouble.TOO_OLD


@pytest.mark.parametrize(
    "code",
    [
        program(X86_64),
        program(platform=SIMULATOR),
        fat(ARM64, X86_64, platform=SIMULATOR),
        fat(ARM64, platform=SIMULATOR),
        program(12),
        program(platform=MACOS),
        program(subtype=2),
    ],
    ids=["a Mac's processor", "the simulator", "both for the simulator", "one of one", "32 bits", "a Mac", "arm64e"],
)
def test_a_program_for_something_else(write: Write, code: bytes) -> None:
    with pytest.raises(UsageError, match="an iPhone needs arm64") as raised:
        read_ipa(write(code=code))
    assert raised.value.exit_code == 2


def test_processors_of_programs_with_one_or_several() -> None:
    assert architectures_of(BytesIO(program())) == ("arm64",)
    assert architectures_of(BytesIO(program(ARM64, IOS, 0x80000002, encryption(0)))) == ("arm64e",)
    assert architectures_of(BytesIO(fat(ARM64, 12))) == ("arm64", "armv7")
    assert architectures_of(BytesIO(fat(ARM64, platform=MACOS))) == ("arm64 macOS",)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"hello"), "is no IPA"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "is no IPA"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
    ids=["text", "cut short", "missing", "a folder"],
)
def test_a_file_that_is_no_ipa(write: Write, spoil: Callable[[Path], object], words: str) -> None:
    path = write()
    spoil(path)
    with pytest.raises(UsageError, match=words):
        read_ipa(path)


@pytest.mark.parametrize(
    "parts",
    [
        {"folder": "Applications/Runner.app"},
        {"info": None},
        {"info": {"CFBundleIdentifier": "a"}},
        {"code": b"#!/bin/sh\n"},
        {"code": b""},
        {"signed": b"no property list"},
        {"info": ["a list"]},
        {"signed": b"<?xml version='1.0'?><plist><dict></plist>"},
        {"signed": profile(ExpirationDate="tomorrow")},
        {"code": program(ARM64, IOS, 0, encryption(1))},
        {"code": struct.pack("<8I", 0xFEEDFACF, ARM64, 0, 2, 0xFFFFFFFF, 0, 0, 0) + bytes(60_000)},
        {"signed": bytes(17 << 20)},
        {"info": INFO | {"CFBundleIdentifier": "org.phonebench/runner"}},
        {"info": INFO | {"PhonebenchRuntimes": "onnx"}},
    ],
    ids=[
        "no payload",
        "no Info.plist",
        "no executable",
        "a script",
        "an empty program",
        "an empty profile",
        "another Info.plist",
        "a damaged profile",
        "a profile without a date",
        "an encrypted program",
        "load commands without a length",
        "a profile that is huge",
        "a bundle id with a slash",
        "runtimes that are no list",
    ],
)
def test_a_zip_that_is_no_ipa(write: Write, parts: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is no IPA"):
        read_ipa(write(**parts))


def test_an_ipa_with_two_apps_is_none(write: Write) -> None:
    path = write()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("Payload/Other.app/Info.plist", plistlib.dumps(INFO))
    with pytest.raises(UsageError, match="is no IPA .it has 2 apps: Payload/Other.app/, Payload/Runner.app/"):
        read_ipa(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_ipa_with_a_damaged_file_is_none(write: Write, method: int) -> None:
    path = write()
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("Payload/Runner.app/Info.plist", plistlib.dumps(INFO))
    data = bytearray(path.read_bytes())
    begins = data.index(b"Info.plist") + len("Info.plist")
    data[begins + 20 : begins + 60] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(UsageError, match="IPA"):
        read_ipa(path)


@pytest.mark.parametrize("key", ["CFBundleIdentifier", "CFBundleExecutable"])
def test_what_an_info_plist_lacks_is_named(write: Write, key: str) -> None:
    with pytest.raises(UsageError, match=f"its Info.plist has no {key}"):
        read_ipa(write(info={name: value for name, value in INFO.items() if name != key}))
