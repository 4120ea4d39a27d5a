"""The pinned npm packages that carry the runtimes' libraries for iOS, and for the runner's desktop program on Linux.

No package registry has TensorFlow Lite or LibTorch-Lite for iOS. CocoaPods fetches those on the user's Mac.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.runners.android.pins import SOURCES, NpmFile, npm_file
from harness.runners.android.records import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What to take from a package: the file or folder ``member`` becomes ``target`` below the libraries' folder."""

    member: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPackage:
    """An npm package and what to take from it: for every system, for iOS only, and for Linux only."""

    title: str
    package: NpmFile
    headers: tuple[Extract, ...]
    ios: tuple[Extract, ...] = ()
    linux: tuple[Extract, ...] = ()


_ONNX_FRAMEWORK = "Plugins/iOS~/onnxruntime.xcframework"

PACKAGES: tuple[LibraryPackage, ...] = (
    LibraryPackage(
        title="ONNX Runtime 1.29.0",
        package=npm_file(SOURCES[Runtime.ONNXRUNTIME]),
        headers=(
            Extract(member=f"{_ONNX_FRAMEWORK}/ios-arm64/onnxruntime.framework/Headers", target="onnxruntime/include"),
        ),
        ios=(Extract(member=_ONNX_FRAMEWORK, target="onnxruntime.xcframework"),),
        linux=(Extract(member="Plugins/Linux/x64/libonnxruntime.so", target="linux/libonnxruntime.so"),),
    ),
)
