"""The runtimes' files for browsers: which they are, with their digests, and where they are kept.

They come from npm packages. Each file has a digest of its own, so a file that was damaged after it was fetched is
noticed when it is served.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError
from harness.runners.android.tools import Tool, Toolbox
from harness.system.files import file_sha256, storage_errors, write_whole
from harness.wire import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFile:
    """One file: its path in the npm package, the name that the page asks for, and its digest."""

    member: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """An npm package at one version, and what is taken from it."""

    package: str
    version: str
    files: tuple[LibraryFile, ...]

    @property
    def archive(self) -> str:
        """The name of the file that ``npm pack`` writes."""
        return f"{self.package.replace('@', '').replace('/', '-')}-{self.version}.tgz"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLibrary:
    """The runtime of one format. ``title`` names it, and its version is that of the first package."""

    title: str
    runtime: str
    packages: tuple[NpmPackage, ...]

    @property
    def version(self) -> str:
        """The version of the runtime."""
        return self.packages[0].version

    @property
    def folder(self) -> str:
        """The folder below the store that holds its files."""
        return f"{self.runtime}-{self.version}"

    @property
    def files(self) -> tuple[LibraryFile, ...]:
        """All its files."""
        return tuple(file for package in self.packages for file in package.files)


def _files(folder: str, *rows: tuple[str, str]) -> tuple[LibraryFile, ...]:
    return tuple(LibraryFile(member=f"{folder}/{name}", name=name, sha256=sha256) for name, sha256 in rows)


LIBRARIES: dict[Format, WebLibrary] = {
    Format.ONNX: WebLibrary(
        title="ONNX Runtime Web",
        runtime="onnxruntime-web",
        packages=(
            NpmPackage(
                package="onnxruntime-web",
                version="1.30.0",
                files=_files(
                    "dist",
                    ("ort.wasm.min.js", "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81"),
                    ("ort-wasm-simd-threaded.mjs", "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"),
                    ("ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
                    ("ort.webgpu.min.js", "7d65dad7eb4564ad98db9924a259af2e2c68ebfbdbf254fa5d728f1c5736e07a"),
                    (
                        "ort-wasm-simd-threaded.asyncify.mjs",
                        "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
                    ),
                    (
                        "ort-wasm-simd-threaded.asyncify.wasm",
                        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
                    ),
                ),
            ),
        ),
    ),
    Format.TFLITE: WebLibrary(
        title="LiteRT.js",
        runtime="litert-web",
        packages=(
            NpmPackage(
                package="@litertjs/core",
                version="2.5.3",
                files=(
                    *_files(
                        "dist",
                        ("index.js", "e7daccc3a31eef890848a737ccb863ded5f046a6b40c3fdc0556495adeb5d9b3"),
                    ),
                    *_files(
                        "wasm",
                        (
                            "litert_wasm_internal.js",
                            "68efb69f770e3f76aff36a377de629ca496c131b86ac0f0f4b592a1543a898eb",
                        ),
                        (
                            "litert_wasm_internal.wasm",
                            "7280cf4471774867e385e6c3cd53e2b45e2975b80fea338fff4ef359b0865614",
                        ),
                        (
                            "litert_wasm_threaded_internal.js",
                            "92fe7a720c6deedaa1194c011c79a005ea4f6fc98f533b661cf7900760ab4849",
                        ),
                        (
                            "litert_wasm_threaded_internal.wasm",
                            "b5e54eca10f043497edf9a02186332707cae260c550d7ea22b2cae55669596cf",
                        ),
                        (
                            "litert_wasm_jspi_internal.js",
                            "e685a3ed86f447c1feb8f5414319539c5e94d1cfc0eb49c3c5e6a788a6f5541b",
                        ),
                        (
                            "litert_wasm_jspi_internal.wasm",
                            "a103e14db26cdbda9ba1a93633e59f3bf604d082fa7ab0c30ca730838e3faa69",
                        ),
                        (
                            "litert_wasm_compat_internal.js",
                            "4d8f894b7883654fd6e8439730aa41e79ceaab7d19184fc4f1f0b0f1a2a2c8a5",
                        ),
                        (
                            "litert_wasm_compat_internal.wasm",
                            "5255c8ad06eabdbd2522cdebf6b22fc10faf74625c23a49b9e072570cd1fa41c",
                        ),
                    ),
                ),
            ),
            NpmPackage(
                package="@litertjs/wasm-utils",
                version="2.5.3",
                files=(
                    LibraryFile(
                        member="dist/index.js",
                        name="wasm_utils.js",
                        sha256="e0e20bc28ab001ac732cf40d15b6eebd24fb0deaeb95eeba5100f51eebf015f2",
                    ),
                ),
            ),
        ),
    ),
}


def default_store() -> Path:
    """Return where this user keeps the files."""
    from platformdirs import user_cache_path

    return (user_cache_path("phonebench") / "web").absolute()


def is_complete(library: WebLibrary, store: Path) -> bool:
    """Return whether every file of ``library`` is in ``store``; their digests are checked when they are served."""
    return all((store / library.folder / file.name).is_file() for file in library.files)


def fetch(library: WebLibrary, store: Path, tools: Toolbox | None = None) -> None:
    """Fetch the packages of ``library`` with npm into ``store``. Raises `BuildError`, `StoreError`."""
    tools = tools or Toolbox()
    if tools.missing((Tool.NPM,)):
        names = " and ".join(package.archive for package in library.packages)
        msg = (
            f"the files of {library.title} {library.version} are not on this computer, and npm, which fetches them, is "
            f"not in PATH; install npm, or get {names} and run: phonebench runner install web --apks FOLDER"
        )
        raise BuildError(msg)
    with storage_errors(store):
        store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=store) as name:
        folder = Path(name)
        for package in library.packages:
            title = f"{package.package}@{package.version}"
            tools.run(Tool.NPM, "pack", "--silent", title, cwd=folder, what=f"fetching {title}")
        take(library, folder, store)


def take(library: WebLibrary, folder: Path, store: Path) -> None:
    """Unpack the packages of ``library``, as ``npm pack`` names them, from ``folder`` into ``store``.

    Raises `BuildError` for an archive that is missing, cannot be read, or holds another file than the pinned one, and
    `StoreError` if the store cannot be written.
    """
    place = store / library.folder
    with storage_errors(store):
        place.mkdir(parents=True, exist_ok=True)
        for package in library.packages:
            for file, data in _members(package, folder / package.archive):
                write_whole(place / file.name, data)


def checked(library: WebLibrary, file: LibraryFile, store: Path) -> bytes:
    """Return the content of a file. Raises `BuildError` if it is missing or has another digest."""
    path = store / library.folder / file.name
    try:
        intact = file_sha256(path) == file.sha256
        data = path.read_bytes()
    except OSError as error:
        msg = f"cannot read {str(path)!r} of {library.title}: {error.strerror}; run: phonebench runner install web"
        raise BuildError(msg) from error
    if not intact:
        msg = f"{str(path)!r} is not the pinned file of {library.title}; run: phonebench runner install web"
        raise BuildError(msg)
    return data


def forget(library: WebLibrary, store: Path) -> None:
    """Remove the files of ``library`` from ``store``."""
    shutil.rmtree(store / library.folder, ignore_errors=True)


def _members(package: NpmPackage, archive: Path) -> Iterator[tuple[LibraryFile, bytes]]:
    import hashlib

    try:
        with tarfile.open(archive) as content:
            for file in package.files:
                member = content.extractfile(f"package/{file.member}")
                data = member.read() if member else b""
                sha256 = hashlib.sha256(data).hexdigest()
                if sha256 != file.sha256:
                    msg = (
                        f"{archive.name!r} has another {file.member!r} than the pinned one (sha256 {sha256}, expected "
                        f"{file.sha256}): get version {package.version} of {package.package} again"
                    )
                    raise BuildError(msg)
                yield file, data
    except (OSError, tarfile.TarError, KeyError) as error:
        msg = (
            f"cannot take the files of {package.package} from {str(archive)!r}: {error}; get version {package.version}"
        )
        raise BuildError(msg) from error
