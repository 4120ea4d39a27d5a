"""What an APK of the runner is, and what it is built from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

APP_PREFIX = "org.phonebench.runner"


class Runtime(StrEnum):
    """The runtimes that have an app of their own, because their native libraries clash."""

    ONNXRUNTIME = "onnxruntime"
    TFLITE = "tflite"
    PYTORCH = "pytorch"
    EXECUTORCH = "executorch"


class Abi(StrEnum):
    """The machines that Android runs native code on."""

    ARM64 = "arm64-v8a"
    ARM = "armeabi-v7a"
    X86_64 = "x86_64"
    X86 = "x86"


def app_id(runtime: Runtime) -> str:
    """Return the id that the app of ``runtime`` is installed under."""
    return f"{APP_PREFIX}.{runtime.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeLibrary:
    """One ``.so`` of an APK; ``page_bytes`` is what its segments are aligned to, 16 KB on phones with such pages."""

    name: str
    abi: Abi
    bytes: int
    page_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApkFacts:
    """What the tools of Android read out of an APK that was built; the record beside it."""

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
    """An APK on the disk whose digest is the one that it was verified with."""

    path: Path
    facts: ApkFacts

    @property
    def runtime(self) -> Runtime:
        """The runtime inside."""
        return self.facts.runtime

    @property
    def app_id(self) -> str:
        """What it is installed as."""
        return self.facts.app_id

    @property
    def version_name(self) -> str:
        """The version, which names the sources it was built from."""
        return self.facts.version_name

    @property
    def signer_sha256(self) -> str:
        """The digest of the certificate that signed it, in hexadecimal."""
        return self.facts.signer_sha256

    @property
    def abis(self) -> tuple[Abi, ...]:
        """The machines that it has native code for."""
        return self.facts.abis
