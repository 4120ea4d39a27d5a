"""The version of the iOS runner: a digest of all it is built from, so that an outdated app on a phone is recognised."""

from __future__ import annotations

import hashlib
from pathlib import Path

import harness
from harness.errors import BuildError
from harness.runners.ios.pins import PACKAGES

SOURCES = Path(harness.__file__).parents[1] / "ios_runner"
_DIGITS = 12
# What the app and the desktop program are made of. Tests and documents change nothing.
_PARTS = ("Package.swift", "project.yml", "project-pods.yml", "Podfile", "Sources", "Kits")
# What a build writes among them. It holds the digest itself.
_MADE = "Sources/App/Info.plist"


def sources() -> Path:
    """Return the folder of the runner's sources. Raises `BuildError` when phonebench is not run from a checkout."""
    if not (SOURCES / "Package.swift").is_file():
        msg = f"there are no sources of the iOS runner at {str(SOURCES)!r}; clone phonebench and pip install -e it"
        raise BuildError(msg)
    return SOURCES


def runner_digest(folder: Path | None = None, trusted_key: bytes = b"") -> str:
    """Return 12 hexadecimal digits of a digest of the sources, of the pinned libraries, and of the app's public key."""
    root = folder or sources()
    digest = hashlib.sha256(trusted_key)
    for item in PACKAGES:
        digest.update(f"{item.package.name}\0{item.package.sha256}\n".encode())
    for file in source_files(root):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def source_files(root: Path) -> tuple[Path, ...]:
    """Return the files that the runner is built from, sorted."""
    paths = (root / part for part in _PARTS)
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    return tuple(sorted(file for file in files if file.is_file() and file != root / _MADE))
