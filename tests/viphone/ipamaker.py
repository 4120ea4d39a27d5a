"""Makes IPAs for tests: the header of a real Mach-O program, Info.plist, and a signed provisioning profile."""

from __future__ import annotations

import plistlib
import struct
import subprocess
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.viphone.ipa import BUILD_VERSION, CODE_SIGNATURE, MACH_64

BUNDLE, EXECUTABLE = "org.phonebench.runner", "PhonebenchRunner"
CPUS = {"arm64": (0x0100000C, 0), "x86_64": (0x01000007, 3)}
PLATFORM_IOS, PLATFORM_SIMULATOR = 2, 7
TEAM = "ABCDE12345"


@dataclass(frozen=True, slots=True, kw_only=True)
class IpaPlan:
    """What an IPA is to be like. ``devices`` None is an enterprise profile, ``profile`` False none at all."""

    bundle: str = BUNDLE
    version: str = "0.1.0"
    build: str = "1"
    digest: str = ""
    runtimes: tuple[str, ...] = ("onnx", "tflite")
    minimum_ios: str = "15.1"
    architecture: str = "arm64"
    simulator: bool = False
    signed: bool = True
    profile: bool = True
    devices: tuple[str, ...] | None = ()
    expires_in: timedelta = timedelta(days=6)
    debuggable: bool = True
    file_sharing: bool = True
    extra_bytes: int = 0
    info: dict[str, Any] = field(default_factory=dict, hash=False)


class IpaMaker:
    """Makes IPAs in one folder; the certificate that signs profiles is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._key, self._certificate = folder / "signer.key", folder / "signer.pem"

    def make(self, plan: IpaPlan) -> Path:
        """Make one; needs the openssl command line for the profile."""
        self._count += 1
        file = self._folder / f"runner-{self._count}.ipa"
        app = "Payload/Runner.app"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{app}/Info.plist", plistlib.dumps(info_of(plan), fmt=plistlib.FMT_BINARY))
            archive.writestr(f"{app}/{EXECUTABLE}", mach_o(plan))
            archive.writestr(f"{app}/PkgInfo", "APPL????")
            if plan.extra_bytes:
                archive.writestr(f"{app}/weights", bytes(plan.extra_bytes))
            if plan.profile:
                archive.writestr(f"{app}/embedded.mobileprovision", self.profile(plan))
        return file

    def profile(self, plan: IpaPlan) -> bytes:
        """A provisioning profile, signed by a certificate of our own."""
        if not self._key.exists():
            words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=phonebench tests", "-days", "3650"]
            _openssl([*words, "-keyout", str(self._key), "-out", str(self._certificate)])
        plain = self._folder / "profile.plist"
        plain.write_bytes(plistlib.dumps(_profile_of(plan)))
        words = ["smime", "-sign", "-nodetach", "-binary", "-outform", "der", "-in", str(plain)]
        return _openssl([*words, "-signer", str(self._certificate), "-inkey", str(self._key)])


def info_of(plan: IpaPlan) -> dict[str, Any]:
    """Info.plist."""
    return {
        "CFBundleIdentifier": plan.bundle,
        "CFBundleName": "Runner",
        "CFBundleDisplayName": "phonebench",
        "CFBundleExecutable": EXECUTABLE,
        "CFBundlePackageType": "APPL",
        "CFBundleShortVersionString": plan.version,
        "CFBundleVersion": plan.build,
        "CFBundleSupportedPlatforms": ["iPhoneSimulator" if plan.simulator else "iPhoneOS"],
        "MinimumOSVersion": plan.minimum_ios,
        "UIDeviceFamily": [1, 2],
        "UIFileSharingEnabled": plan.file_sharing,
        "PhonebenchRuntimes": list(plan.runtimes),
        **({"PhonebenchRunnerDigest": plan.digest} if plan.digest else {}),
        **plan.info,
    }


def mach_o(plan: IpaPlan) -> bytes:
    """The header of a program for that architecture, with the load commands that say for what it was built."""
    cpu, subtype = CPUS[plan.architecture]
    platform = PLATFORM_SIMULATOR if plan.simulator else PLATFORM_IOS
    commands = [struct.pack("<IIIIII", BUILD_VERSION, 24, platform, 0x000F0100, 0x00120000, 0)]
    if plan.signed:
        commands.append(struct.pack("<IIII", CODE_SIGNATURE, 16, 0x4000, 0))
    body = b"".join(commands)
    return struct.pack("<IIIIIIII", MACH_64, cpu, subtype, 2, len(commands), len(body), 0, 0) + body


def _profile_of(plan: IpaPlan) -> dict[str, Any]:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    devices = {"ProvisionsAllDevices": True} if plan.devices is None else {"ProvisionedDevices": list(plan.devices)}
    return {
        "AppIDName": "phonebench",
        "Name": "iOS Team Provisioning Profile: *",
        "UUID": "5a1f0f6e-0000-4000-8000-000000000001",
        "TeamIdentifier": [TEAM],
        "TeamName": "phonebench tests",
        "Platform": ["iOS"],
        "CreationDate": now - timedelta(days=1),
        "ExpirationDate": now + plan.expires_in,
        "TimeToLive": 7,
        "Version": 1,
        "DeveloperCertificates": [],
        "Entitlements": {
            "application-identifier": f"{TEAM}.{plan.bundle}",
            "com.apple.developer.team-identifier": TEAM,
            "get-task-allow": plan.debuggable,
            "com.apple.developer.kernel.increased-memory-limit": True,
        },
        **devices,
    }


def _openssl(words: list[str]) -> bytes:
    done = subprocess.run(["openssl", *words], capture_output=True, timeout=60, check=False)
    if done.returncode:
        msg = f"openssl {words[0]} failed: {done.stderr.decode(errors='replace')[-500:]}"
        raise RuntimeError(msg)
    return done.stdout
