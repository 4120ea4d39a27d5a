"""The pinned packages that carry the runtimes' libraries for iOS, and for the runner's desktop program on Linux.

No package registry has TensorFlow Lite or LibTorch-Lite for iOS. CocoaPods fetches those on the user's Mac.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.runners.android.pins import SOURCES, MavenFile, NpmFile, npm_file
from harness.runners.android.records import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What to take from a package: the file or folder ``member`` becomes ``target`` below the libraries' folder."""

    member: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPackage:
    """A package and what to take from it: for every system, for iOS only, and for Linux only."""

    title: str
    package: NpmFile | MavenFile
    headers: tuple[Extract, ...] = ()
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
    LibraryPackage(
        title="ExecuTorch (react-native-executorch 0.9.3)",
        package=npm_file(SOURCES[Runtime.EXECUTORCH]),
        headers=tuple(
            Extract(member=f"third-party/include/{name}", target=f"executorch/include/{name}")
            for name in ("executorch", "c10", "torch", "pthreadpool")
        ),
        ios=(Extract(member="third-party/ios/ExecutorchLib.xcframework", target="ExecutorchLib.xcframework"),),
    ),
    # For Linux alone, with the C interface and XNNPACK inside a library for Java. CocoaPods has it for iOS.
    LibraryPackage(
        title="TensorFlow Lite 2.18.0",
        package=MavenFile(
            coordinate="org.bytedeco:tensorflow-lite:2.18.0-1.5.11",
            kind="jar",
            classifier="linux-x86_64",
            sha256="09e8a949a86745d372a5cc40b4937d9c113356bd92b5655e8a463682471b1354",
        ),
        linux=(
            Extract(
                member="org/bytedeco/tensorflowlite/linux-x86_64/libjnitensorflowlite.so",
                target="linux/libtensorflowlite_c.so",
            ),
        ),
    ),
    # The tests compare our own declarations of that interface with these headers.
    LibraryPackage(
        title="the headers of TensorFlow Lite",
        package=NpmFile(
            package="tfjs-tflite-node@0.0.2",
            sha256="3be1632328a76a2475e5b6833253763c802c859433becb4d879ee1860e3b5284",
            members=(),
        ),
        linux=(Extract(member="cc_deps/include", target="tflite/include"),),
    ),
)
