"""Fetches each runtime's library for Android and sorts its contents.

The first source that resolves is used: the publisher's Maven coordinate, then an npm package that contains the same
library. Each download must have the digest that is pinned in `pins`, where there is one.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from harness.errors import BuildError, UsageError
from harness.runners.android.pins import SOURCES, MavenFile, NpmFile
from harness.runners.android.records import Abi, Runtime
from harness.runners.android.tools import Tool, Toolbox
from harness.system.files import file_sha256

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_REASON_CHARACTERS = 300
# The one of Qualcomm's libraries that every chip needs.
NPU_LIBRARY = "libQnnHtp.so"
_PROJECT = """<project><modelVersion>4.0.0</modelVersion><groupId>org.phonebench</groupId>
<artifactId>fetch</artifactId><version>1</version><packaging>pom</packaging><dependencies>{}
</dependencies></project>
"""
_DEPENDENCY = """
<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version><type>{kind}</type>
{classifier}<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The contents of a runtime's library: jars of classes, and native libraries at ``<natives>/<abi>/*.so``."""

    title: str
    classes: tuple[Path, ...]
    natives: Path
    sha256: str

    @property
    def has_npu_code(self) -> bool:
        """Whether it holds Qualcomm's libraries, one of which the driver of the processor reads as a file."""
        return (self.natives / Abi.ARM64.value / NPU_LIBRARY).is_file()

    def native_files(self, abi: Abi) -> tuple[Path, ...]:
        """Return the native libraries for ``abi``, sorted by name."""
        return tuple(sorted((self.natives / abi.value).glob("*.so")))

    def abis(self) -> tuple[Abi, ...]:
        """Return the ABIs that the library has all its native code for.

        A part of it may exist for more: fbjni does for each, ExecuTorch does not.
        """
        names = {abi: {file.name for file in self.native_files(abi)} for abi in Abi}
        whole = max(names.values(), key=len)
        return tuple(abi for abi in Abi if whole and names[abi] >= whole)


def fetch_library(
    runtime: Runtime, folder: Path, tools: Toolbox, *, given: Path | None = None, npu: Path | None = None
) -> Library:
    """Return the library of ``runtime`` below ``folder``, fetched or taken from the user's own file ``given``.

    ``npu`` is a folder of ``phonebench npu --libraries``, whose native libraries are added to those of ``given``.

    Raises `BuildError` naming the file to get when no source resolves, `UsageError` when ``given`` is not a library.
    """
    chosen = SOURCES[runtime]
    if given is not None:
        if not zipfile.is_zipfile(given):
            msg = f"the library {str(given)!r} is not an .aar; give the one that {runtime.value}'s publisher released"
            raise UsageError(msg)
        shared = _fetch_all(chosen.companions, folder / "downloads", tools)
        title = f"{given.name} {file_sha256(given)[:12]}"
        return take_apart(title, [given, *shared, *npu_libraries(npu)], folder / runtime.value)
    refusals = []
    for source in chosen.sources:
        try:
            files = _fetch_all((*source.files, *chosen.companions), folder / "downloads", tools)
        except BuildError as error:
            # The first line is ours, the second what the tool printed.
            refusals.append(f"{source.title}: {' '.join(str(error).splitlines()[:2])[:_REASON_CHARACTERS]}")
            continue
        return take_apart(source.title, files, folder / runtime.value)
    msg = (
        f"cannot fetch the {runtime.value} library for Android ({'; '.join(refusals)}); "
        f"get {chosen.file_to_get} and pass it with --library"
    )
    raise BuildError(msg)


def npu_libraries(folder: Path | None) -> list[Path]:
    """Return Qualcomm's libraries in a folder that ``phonebench npu --libraries`` made. Raises `UsageError`."""
    if folder is None:
        return []
    place = folder / "jniLibs" / Abi.ARM64.value
    files = sorted(place.glob("*.so"))
    if NPU_LIBRARY not in {file.name for file in files}:
        msg = (
            f"--npu-libraries {str(folder)!r} has no {NPU_LIBRARY!r} in 'jniLibs/{Abi.ARM64.value}': name a folder "
            "that phonebench npu --libraries made"
        )
        raise UsageError(msg)
    return files


def fetch_maven(file: MavenFile, folder: Path, tools: Toolbox) -> Path:
    """Return an artifact in ``folder``, fetched unless it is there already. Raises `BuildError`."""
    return _fetch_all([file], folder, tools)[0]


def fetch_npm(file: NpmFile, folder: Path, tools: Toolbox) -> Path:
    """Return the archive of an npm package in ``folder``, fetched unless it is there already. Raises `BuildError`."""
    with _fetching(folder):
        if not _is_there(file, folder):
            tools.run(Tool.NPM, "pack", "--silent", file.package, cwd=folder, what=f"fetching {file.package}")
        return _checked(file, folder)


def _fetch_all(files: Sequence[MavenFile | NpmFile], folder: Path, tools: Toolbox) -> list[Path]:
    """Fetch the missing files, all Maven artifacts in one call; an npm package is replaced by its members."""
    with _fetching(folder):
        missing = [file for file in files if not _is_there(file, folder)]
        _from_maven([file for file in missing if isinstance(file, MavenFile)], folder, tools)
    paths: list[Path] = []
    for file in files:
        if isinstance(file, MavenFile):
            paths.append(_checked(file, folder))
        else:
            paths += members_of(fetch_npm(file, folder, tools), file)
    return paths


@contextlib.contextmanager
def _fetching(folder: Path) -> Iterator[None]:
    """Make the folder of downloads, which builds share, and let one process at a time fetch into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "downloads.lock"):
        yield


def _is_there(file: MavenFile | NpmFile, folder: Path) -> bool:
    path = folder / file.name
    return path.is_file() and file.sha256 in (None, file_sha256(path))


def _from_maven(files: Sequence[MavenFile], folder: Path, tools: Toolbox) -> None:
    """Fetch with a Maven project that has only these dependencies, excluding transitive ones."""
    if not files:
        return
    project = folder / "fetch.pom.xml"
    project.write_text(_PROJECT.format("".join(_dependency(file) for file in files)), encoding="utf-8")
    named = ", ".join(file.coordinate for file in files)
    # overWriteReleases replaces a file with a wrong digest, which would otherwise be kept.
    arguments = ["-B", "-f", str(project), _COPY, f"-DoutputDirectory={folder}", "-Dmdep.overWriteReleases=true"]
    tools.run(Tool.MAVEN, *arguments, what=f"fetching {named}")


def _dependency(file: MavenFile) -> str:
    group, artifact, version = file.coordinate.split(":")
    classifier = f"<classifier>{file.classifier}</classifier>" if file.classifier else ""
    return _DEPENDENCY.format(group=group, artifact=artifact, version=version, kind=file.kind, classifier=classifier)


def _checked(file: MavenFile | NpmFile, folder: Path) -> Path:
    """Return the path of a fetched file after checking its digest. Raises `BuildError`."""
    path = folder / file.name
    if not path.is_file():
        msg = f"{file.name!r} was fetched without an error, but it is not in {str(folder)!r}"
        raise BuildError(msg)
    sha256 = file_sha256(path)
    if file.sha256 not in (None, sha256):
        msg = f"{file.name!r} has the wrong sha256: got {sha256}, expected {file.sha256}; delete it and fetch it again"
        raise BuildError(msg)
    return path


def members_of(path: Path, file: NpmFile) -> Iterator[Path]:
    """Extract the members of an npm package. A native library keeps the folder that names its ABI."""
    below = path.with_suffix("")
    with tarfile.open(path) as archive:
        for member in file.members:
            content = archive.extractfile(f"package/{member}")
            if content is None:
                msg = f"{path.name!r} has no file {member!r}"
                raise BuildError(msg)
            parts = PurePosixPath(member).parts[-2:]
            target = below.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            yield target


def take_apart(title: str, files: Sequence[Path], folder: Path) -> Library:
    """Sort the classes and native libraries of ``files`` (``.aar``, ``.jar``, ``<abi>/*.so``) into ``folder``."""
    natives = folder / "natives"
    classes: list[Path] = []
    digest = hashlib.sha256()
    _empty(folder)
    for at, file in enumerate(files):
        digest.update(f"{file.name}\0{file_sha256(file)}\n".encode())
        if file.suffix == ".jar":
            classes.append(file)
        elif file.suffix == ".so":
            _native(natives, Abi(file.parent.name), file.name, file.read_bytes())
        else:
            classes += _open_aar(file, natives, folder / f"{at}-classes.jar")
    return Library(title=title, classes=tuple(classes), natives=natives, sha256=digest.hexdigest())


def _open_aar(file: Path, natives: Path, classes: Path) -> list[Path]:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            parts = PurePosixPath(name).parts
            if len(parts) == 3 and parts[0] == "jni" and name.endswith(".so"):
                _native(natives, Abi(parts[1]), parts[2], archive.read(name))
        if "classes.jar" not in archive.namelist():
            msg = f"{file.name!r} has no classes.jar, so it is not an Android library"
            raise UsageError(msg)
        classes.write_bytes(archive.read("classes.jar"))
    # An .aar with only native code has an empty classes.jar.
    with zipfile.ZipFile(classes) as jar:
        return [classes] if any(name.endswith(".class") for name in jar.namelist()) else []


def _native(natives: Path, abi: Abi, name: str, data: bytes) -> None:
    """Write one native library to its folder. Raises `BuildError` when a different file of that name is there."""
    path = natives / abi.value / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() != data:
        msg = f"two libraries clash: both contain {name!r} for {abi.value}, and the files differ"
        raise BuildError(msg)
    path.write_bytes(data)


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
