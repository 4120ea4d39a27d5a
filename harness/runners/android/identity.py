"""The version of an app: a digest of everything it is built from, so an outdated app on a phone is recognised.

The signing key is not part of it, because phones detect another signer themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import harness
from harness.errors import BuildError
from harness.runners.android.records import Abi, Runtime

SOURCES = Path(harness.__file__).parents[1] / "android_runner"
_DIGITS = 12
# Parts of every app, besides the module of the runtime.
_SHARED = ("pom.xml", "core/pom.xml", "core/src/main", "app/pom.xml", "app/src/main")


def sources() -> Path:
    """Return the folder of the runner's sources. Raises `BuildError` when phonebench is not run from a checkout."""
    if not (SOURCES / "pom.xml").is_file():
        msg = f"there are no sources of the Android runner at {str(SOURCES)!r}; clone phonebench and pip install -e it"
        raise BuildError(msg)
    return SOURCES


def version_name(
    runtime: Runtime,
    *,
    abis: Sequence[Abi],
    library_sha256: str,
    debuggable: bool,
    trusted_key: bytes = b"",
    folder: Path | None = None,
) -> str:
    """Return ``0.1.0+`` and 12 hexadecimal digits of a digest of the sources, the library and the other arguments."""
    root = folder or sources()
    digest = hashlib.sha256(f"{runtime.value} {sorted(abis)} {library_sha256} {debuggable}".encode() + trusted_key)
    for part in (*_SHARED, f"{runtime.value}/pom.xml", f"{runtime.value}/src/main"):
        for file in _files(root / part):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"\n{file.relative_to(root).as_posix()}\0{content}".encode())
    return f"{harness.__version__}+{digest.hexdigest()[:_DIGITS]}"


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
