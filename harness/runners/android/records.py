"""Facts about an APK of the runner: its runtime, its ABIs, and what it was built from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

APP_PREFIX = "org.phonebench.runner"


class Runtime(StrEnum):
    """The runtimes. Each has a separate app, because their native libraries clash in one process."""

    ONNXRUNTIME = "onnxruntime"
    TFLITE = "tflite"
    PYTORCH = "pytorch"
    EXECUTORCH = "executorch"


class Abi(StrEnum):
    """Android's names of the instruction sets that native code can be built for."""

    ARM64 = "arm64-v8a"
    ARM = "armeabi-v7a"
    X86_64 = "x86_64"
    X86 = "x86"


def app_id(runtime: Runtime) -> str:
    """Return the application id of the app of ``runtime``."""
    return f"{APP_PREFIX}.{runtime.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeLibrary:
    """One ``.so`` of an APK; ``page_bytes`` is the alignment of its segments (16,384 for phones with 16 KB pages)."""

    name: str
    abi: Abi
    bytes: int
    page_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApkFacts:
    """What Android's tools report about a built APK; stored as JSON beside it."""

    runtime: Runtime
    app_id: str
    version_name: str
    signer_sha256: str
    abis: tuple[Abi, ...]
    debuggable: bool
    library: str
    library_sha256: str
    sha256: str
    bytes: int
    natives: tuple[NativeLibrary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltApk:
    """An APK on disk that still has the digest it was verified with."""

    path: Path
    facts: ApkFacts

    @property
    def runtime(self) -> Runtime:
        """The runtime in the app."""
        return self.facts.runtime

    @property
    def app_id(self) -> str:
        """The application id it is installed under."""
        return self.facts.app_id

    @property
    def version_name(self) -> str:
        """The version, which identifies the sources it was built from."""
        return self.facts.version_name

    @property
    def signer_sha256(self) -> str:
        """The digest of the certificate that signed it, in hexadecimal."""
        return self.facts.signer_sha256

    @property
    def abis(self) -> tuple[Abi, ...]:
        """The ABIs that it has native code for."""
        return self.facts.abis
