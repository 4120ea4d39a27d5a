"""The pinned sources of the runtimes' libraries: what to fetch, and the digest it must have."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.runners.android.records import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class MavenFile:
    """A Maven artifact by its coordinate; without a digest, only Maven's own checksum is checked."""

    coordinate: str
    kind: str
    sha256: str | None = None
    classifier: str = ""

    @property
    def name(self) -> str:
        """The name of the downloaded file."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}{f'-{self.classifier}' if self.classifier else ''}.{self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmFile:
    """An npm package, and the files to extract from it."""

    package: str
    sha256: str
    members: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file name that ``npm pack`` writes."""
        return f"{self.package.replace('@', '-')}.tgz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place to get a library from."""

    title: str
    files: tuple[MavenFile | NpmFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySources:
    """The places to try in order, the files needed besides, and the file that the user can get if none works."""

    sources: tuple[Source, ...]
    file_to_get: str
    companions: tuple[MavenFile, ...] = field(default=())


_TFLITE = "org.tensorflow:tensorflow-lite"
_ONNX, _EXECUTORCH = "com.microsoft.onnxruntime:onnxruntime-android:1.29.0", "org.pytorch:executorch-android:1.4.1"
_EXECUTORCH_SO = "third-party/android/libs/executorch/{}/libexecutorch.so"

_FBJNI = "com.facebook.fbjni:fbjni"
_NATIVELOADER = MavenFile(
    coordinate="com.facebook.soloader:nativeloader:0.10.1",
    kind="jar",
    sha256="82ca9c348f605984fa72e08aee0c35e7aa103ec6b0eccf592e498392c4d601b8",
)

D8_JAR = MavenFile(
    coordinate="com.android.tools:r8:9.5.28",
    kind="jar",
    sha256="38a9ffaaebbd17d1514e3ecbff5a85b989bb13c551b9e224c7409514eea84ff5",
)

SOURCES: dict[Runtime, LibrarySources] = {
    Runtime.TFLITE: LibrarySources(
        sources=(
            Source(
                title="tensorflow-lite 2.16.1",
                files=(
                    MavenFile(
                        coordinate=f"{_TFLITE}:2.16.1",
                        kind="aar",
                        sha256="34b065817e294e7dd3569504e8b9454938ceae453b6a459da54d5f6e45d3c94e",
                    ),
                ),
            ),
        ),
        file_to_get="tensorflow-lite-2.16.1.aar of org.tensorflow",
        companions=(
            MavenFile(
                coordinate=f"{_TFLITE}-api:2.16.1",
                kind="aar",
                sha256="885b95bc9e47a4aa5cf8e71523aed9b05e397cfef1ea09773f13fea8b649fcee",
            ),
            MavenFile(
                coordinate=f"{_TFLITE}-gpu:2.16.1",
                kind="aar",
                sha256="4440e44d295e0e13964d4fe9d9e8c3d2c3f870b92fcb7b945e45036acdfcd459",
            ),
            MavenFile(
                coordinate=f"{_TFLITE}-gpu-api:2.14.0",
                kind="aar",
                sha256="3e7cece2c5eaaf05f93d0399e7d86eee83bd818b037965cbe52291223acae286",
            ),
        ),
    ),
    Runtime.PYTORCH: LibrarySources(
        sources=(
            Source(
                title="pytorch_android_lite 1.12.2",
                files=(
                    MavenFile(
                        coordinate="org.pytorch:pytorch_android_lite:1.12.2",
                        kind="aar",
                        sha256="ca58bf74952e50c1ead7d058462680c6b6306877f55e0d612cba0ed8725c95c2",
                    ),
                ),
            ),
        ),
        file_to_get="pytorch_android_lite-1.12.2.aar of org.pytorch",
        companions=(
            MavenFile(
                coordinate=f"{_FBJNI}-java-only:0.2.2",
                kind="jar",
                sha256="7904e1c270fc2efafa7232001fbd5adb0521f624ee3a6e548d1efbcb5f30bcdf",
            ),
            _NATIVELOADER,
        ),
    ),
    Runtime.ONNXRUNTIME: LibrarySources(
        sources=(
            Source(title="onnxruntime-android 1.29.0", files=(MavenFile(coordinate=_ONNX, kind="aar"),)),
            Source(
                title="com.github.asus4.onnxruntime 0.4.9",
                files=(
                    NpmFile(
                        package="com.github.asus4.onnxruntime@0.4.9",
                        sha256="e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d",
                        members=("Plugins/Android/onnxruntime.aar",),
                    ),
                ),
            ),
        ),
        file_to_get="onnxruntime-android-1.29.0.aar of com.microsoft.onnxruntime",
    ),
    Runtime.EXECUTORCH: LibrarySources(
        sources=(
            Source(title="executorch-android 1.4.1", files=(MavenFile(coordinate=_EXECUTORCH, kind="aar"),)),
            Source(
                title="react-native-executorch 0.9.3",
                files=(
                    NpmFile(
                        package="react-native-executorch@0.9.3",
                        sha256="70a20a865b82f47ac46c82711d93c2038cf99eccbb9b287494219063f2217622",
                        members=(
                            "android/libs/classes.jar",
                            _EXECUTORCH_SO.format("arm64-v8a"),
                            _EXECUTORCH_SO.format("x86_64"),
                        ),
                    ),
                ),
            ),
        ),
        file_to_get="executorch-android-1.4.1.aar of org.pytorch",
        companions=(
            MavenFile(
                coordinate=f"{_FBJNI}:0.7.0",
                kind="aar",
                sha256="7e319ae110ac5e5ef18904170aea5c3e753e915d196699d7fd39d36c8e1dfe36",
            ),
            _NATIVELOADER,
        ),
    ),
}


def npm_file(library: LibrarySources) -> NpmFile:
    """Return the npm package among the sources of a library."""
    files = (file for source in library.sources for file in source.files)
    return next(file for file in files if isinstance(file, NpmFile))
