"""The Swift toolchain of the tests, and the desktop program of the iOS runner that it builds.

A Mac or a Linux computer with Swift 6 in PATH uses that. Elsewhere ``.ci/swift-toolchain`` makes one in a folder; what
is built there runs without it, through its own loader.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from harness import __version__
from harness.runners.ios.identity import runner_digest, source_files
from harness.runners.ios.libraries import Target, fetch_libraries

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "ios_runner"
LIBRARIES = RUNNER / "libraries"
_TOOLCHAIN = ROOT / ".ci" / "swift-toolchain"
_DESKTOP = RUNNER / ".build" / "release" / "desktop"
_BUILD_SECONDS = 600


def missing_for_swift() -> str:
    """Return what this computer lacks to build and run Swift, or an empty text."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "Linux on x86-64, which the pinned libraries are for"
    absent = [tool for tool in ("npm", "mvn") if shutil.which(tool) is None]
    if absent and not (LIBRARIES / "linux").is_dir():
        return f"{absent[0]}, which fetches the runtimes (apt-get install npm maven)"
    if shutil.which("swift"):
        return ""
    if os.geteuid() != 0:
        return "Swift 6 in PATH, or root to make a toolchain"
    if shutil.which("mmdebstrap") is None and not _root().is_dir():
        return "a Swift toolchain (apt-get install mmdebstrap eatmydata)"
    return ""


def swift(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``swift`` in the runner's folder and return how it ended, with both streams as one text."""
    return in_toolchain("swift", *arguments)


def in_toolchain(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the toolchain in the runner's folder and return how it ended."""
    prefix = [] if shutil.which("swift") else [str(_TOOLCHAIN)]
    return subprocess.run(
        [*prefix, *command],
        cwd=RUNNER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_BUILD_SECONDS,
        check=False,
    )


def desktop_command() -> list[str]:
    """Return the command that the runner's arguments follow, after building the program if a source is newer."""
    return loaded(built_desktop(), "--libraries", str(LIBRARIES / "linux"), "--version", _version())


def built_desktop() -> Path:
    """Return the desktop program, built if a source is newer. Fails with what the compiler printed."""
    fetch_libraries(LIBRARIES, Target.LINUX)
    with building():
        newest = max(file.stat().st_mtime for file in source_files(RUNNER))
        if not _DESKTOP.is_file() or _DESKTOP.stat().st_mtime < newest:
            done = swift("build", "--configuration", "release")
            assert done.returncode == 0, done.stdout
            # SwiftPM leaves a program alone that the change did not touch.
            _DESKTOP.touch()
    return _DESKTOP


def building() -> FileLock:
    """Return the lock of the checkout: two builds at a time would wait for each other inside SwiftPM."""
    (RUNNER / ".build").mkdir(exist_ok=True)
    return FileLock(RUNNER / ".build" / "tests.lock")


def loaded(program: Path, *arguments: str) -> list[str]:
    """Return the command for a program that was built here."""
    if shutil.which("swift"):
        return [str(program), *arguments]
    root = _root()
    folders = ":".join(str(root / name) for name in ("usr/lib/x86_64-linux-gnu", "usr/libexec/swift/lib/swift/linux"))
    return [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path", folders, str(program), *arguments]


def _version() -> str:
    return f"{__version__}+{runner_digest()}"


def _root() -> Path:
    """The folder of the toolchain, as ``.ci/swift-toolchain`` names it."""
    told = os.environ.get("PHONEBENCH_SWIFT")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(told) if told else cache / "phonebench" / "swift-trixie-1"


if __name__ == "__main__":
    sys.stdout.write(f"{built_desktop()}\n")
