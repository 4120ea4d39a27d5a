"""Builds the iOS app on a Mac: XcodeGen makes the project, CocoaPods fetches two runtimes, Xcode compiles and signs."""

from __future__ import annotations

import os
import platform
import plistlib
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import harness
from harness.errors import BuildError
from harness.runners.ios.identity import SOURCES, runner_digest, sources
from harness.runners.ios.libraries import Target, fetch_libraries

SCHEME = "PhonebenchRunner"
DEFAULT_ID = "org.phonebench.runner"
IPA = f"{SCHEME}.ipa"
KEY_NAME = "PhonebenchTrustedKey"
# In the checkout, because the digest in an app refers to the sources there.
FOLDER = SOURCES / "ipa"
_ELSEWHERE = (
    "the iOS app is built on a Mac with Xcode. Build it there with the same command, or pass an IPA that was built and "
    "signed elsewhere with --ipa FILE"
)
_TAIL_LINES = 25


class XcodeTool(StrEnum):
    """A program that the build needs, by the name of its command."""

    XCODEBUILD = "xcodebuild"
    XCODEGEN = "xcodegen"
    POD = "pod"


_ADVICE: dict[XcodeTool, str] = {
    XcodeTool.XCODEBUILD: "install Xcode from the App Store and open it once",
    XcodeTool.XCODEGEN: "run: brew install xcodegen",
    XcodeTool.POD: "run: brew install cocoapods, or leave TensorFlow Lite and PyTorch out with --no-pods",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IosBuild:
    """What to build.

    ``team`` is the id of the Apple developer team that signs; without one the app is not signed. ``pods`` says whether
    the app gets the two runtimes that come from CocoaPods. ``out`` is the folder of the IPA. ``trusted_key``: the PEM
    text of the public key that must have signed whatever the app runs; empty for an app that runs anything.
    """

    team: str = ""
    bundle_id: str = DEFAULT_ID
    out: Path | None = None
    pods: bool = True
    trusted_key: bytes = b""

    @property
    def key_text(self) -> str:
        """The key as Info.plist has it: the Base64 of the PEM file in one line."""
        lines = self.trusted_key.decode().splitlines()
        return "".join(line.strip() for line in lines if not line.startswith("-----"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """The computer that builds: its system, where programs are searched (None for PATH), and what fetches libraries."""

    system: str = field(default_factory=platform.system)
    search: str | None = None
    fetch: Callable[[Path, Target], None] = fetch_libraries

    def find(self, tool: XcodeTool) -> str:
        """Return the path of a program. Raises `BuildError` that says how to get it."""
        path = shutil.which(tool.value, path=self.search)
        if path is None:
            msg = f"building the iOS app needs {tool.value!r}, which is not in PATH; {_ADVICE[tool]}"
            raise BuildError(msg)
        return path

    def run(self, tool: XcodeTool, *arguments: str, cwd: Path, more: Mapping[str, str]) -> None:
        """Run a program in ``cwd``. Raises `BuildError` with the end of what it printed."""
        done = subprocess.run(
            [self.find(tool), *arguments],
            cwd=cwd,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_TAIL_LINES:])
            msg = f"building the iOS app failed: {tool.value!r} ended with exit code {done.returncode}:\n{tail}"
            raise BuildError(msg)


def build_ios(options: IosBuild, *, mac: Mac | None = None, folder: Path | None = None) -> Path:
    """Build the app and return its IPA. Raises `BuildError`, also on a computer that is no Mac, and `OSError`.

    ``folder`` is that of the sources, the checkout's by default.
    """
    mac, root = mac or Mac(), folder or sources()
    if mac.system != "Darwin":
        raise BuildError(_ELSEWHERE)
    needed = [XcodeTool.XCODEBUILD, XcodeTool.XCODEGEN, *([XcodeTool.POD] if options.pods else [])]
    for tool in needed:
        mac.find(tool)
    mac.fetch(root / "libraries", Target.IOS)
    facts = _facts(options, root)
    mac.run(XcodeTool.XCODEGEN, "generate", "--spec", "project.yml", cwd=root, more=facts)
    if options.pods:
        mac.run(XcodeTool.POD, "install", cwd=root, more=facts)
    archive = root / ".build" / f"{SCHEME}.xcarchive"
    shutil.rmtree(archive, ignore_errors=True)
    mac.run(XcodeTool.XCODEBUILD, *_archiving(options, archive), cwd=root, more=facts)
    _check_key(archive, options)
    return _packed(archive, options.out or root / "ipa")


def default_ipa(folder: Path | None = None) -> Path | None:
    """Return the IPA that a build left in its default place, None if there is none."""
    path = (folder or FOLDER) / IPA
    return path if path.is_file() else None


def _facts(options: IosBuild, root: Path) -> dict[str, str]:
    """What ``project.yml`` takes from the environment."""
    major, minor, patch = (int(part) for part in harness.__version__.split("."))
    return {
        "PHONEBENCH_VERSION": harness.__version__,
        "PHONEBENCH_BUILD": str(10_000 * major + 100 * minor + patch),
        "PHONEBENCH_DIGEST": runner_digest(root, options.trusted_key),
        "PHONEBENCH_TRUSTED_KEY": options.key_text,
        "PHONEBENCH_BUNDLE_ID": options.bundle_id,
        "PHONEBENCH_TEAM": options.team,
        "PHONEBENCH_PODS": "true" if options.pods else "false",
    }


def _archiving(options: IosBuild, archive: Path) -> Sequence[str]:
    # CocoaPods makes a workspace that contains the project and its own.
    project = ["-workspace", f"{SCHEME}.xcworkspace"] if options.pods else ["-project", f"{SCHEME}.xcodeproj"]
    signing = ["-allowProvisioningUpdates"] if options.team else ["CODE_SIGNING_ALLOWED=NO"]
    return [
        *project,
        "-scheme",
        SCHEME,
        "-configuration",
        "Release",
        "-destination",
        "generic/platform=iOS",
        "-archivePath",
        str(archive),
        *signing,
        "archive",
    ]


def _app(archive: Path) -> Path:
    """The app of an archive. Raises `BuildError` if there is none."""
    app = archive / "Products" / "Applications" / f"{SCHEME}.app"
    if not app.is_dir():
        msg = f"Xcode archived without an error, but there is no {app.name!r} in {str(archive)!r}"
        raise BuildError(msg)
    return app


def _check_key(archive: Path, options: IosBuild) -> None:
    """Raise `BuildError` unless the app has the key: one that lost it on the way would run anything."""
    app = _app(archive)
    if not options.trusted_key:
        return
    try:
        key = plistlib.loads((app / "Info.plist").read_bytes()).get(KEY_NAME)
    except (OSError, ValueError, plistlib.InvalidFileException) as error:
        key = error
    if key != options.key_text:
        msg = (
            f"the app does not have the public key in its Info.plist ({KEY_NAME} is {key!r}), so it would run anything"
        )
        raise BuildError(msg)


def _packed(archive: Path, out: Path) -> Path:
    """Write the app of an archive as an IPA: a zip with one folder ``Payload``, links and permissions kept."""
    app = _app(archive)
    out.mkdir(parents=True, exist_ok=True)
    path, partial = out / IPA, out / f"{IPA}.tmp"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(app.rglob("*")):
            name = f"Payload/{app.name}/{file.relative_to(app).as_posix()}"
            if file.is_symlink():
                entry = zipfile.ZipInfo(name)
                entry.create_system, entry.external_attr = 3, 0o120777 << 16
                zipped.writestr(entry, str(file.readlink()))
            else:
                zipped.write(file, name)
    partial.replace(path)
    return path
