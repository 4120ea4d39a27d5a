"""Puts the runtimes' headers and libraries into ``ios_runner/libraries/``, where Xcode and SwiftPM look for them."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath

from filelock import FileLock

from harness.errors import BuildError
from harness.runners.android.apks import default_workshop
from harness.runners.android.libraries import fetch_maven, fetch_npm
from harness.runners.android.pins import MavenFile, NpmFile
from harness.runners.android.tools import Toolbox
from harness.runners.ios.pins import PACKAGES, Extract
from harness.system.files import write_whole


class Target(StrEnum):
    """The systems that the runner is built for."""

    IOS = "ios"
    LINUX = "linux"


def fetch_libraries(folder: Path, target: Target, *, tools: Toolbox | None = None) -> None:
    """Fetch what the runner needs for ``target`` into ``folder``, unless it is there already.

    The packages are kept where those for Android are, because two of them are the same. Raises `BuildError`.
    """
    shop = default_workshop()
    downloads = shop.work / "libraries" / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "fetch.lock"):
        for item in PACKAGES:
            parts = (*item.headers, *(item.ios if target is Target.IOS else item.linux))
            stamp, facts = folder / f"{item.package.name}.{target.value}", f"{item.package.sha256} {parts}"
            if parts and not (stamp.is_file() and stamp.read_text(encoding="utf-8") == facts):
                _extract(_fetched(item.package, downloads, tools or shop.tools), parts, folder)
                write_whole(stamp, facts.encode())


def _fetched(package: NpmFile | MavenFile, downloads: Path, tools: Toolbox) -> Path:
    if isinstance(package, NpmFile):
        return fetch_npm(package, downloads, tools)
    return fetch_maven(package, downloads, tools)


def _extract(archive: Path, parts: Sequence[Extract], folder: Path) -> None:
    """Write ``parts`` of a package below ``folder``. Raises `BuildError` for one that the package lacks."""
    for part in parts:
        shutil.rmtree(folder / part.target, ignore_errors=True)
    missing = {part.member for part in parts}
    for name, content in _contents(archive, parts):
        for part in _parts_with(name, parts):
            missing.discard(part.member)
            path = folder / part.target / name.relative_to(part.member)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    if missing:
        msg = f"{archive.name!r} lacks {sorted(missing)}: the pinned package has changed its layout"
        raise BuildError(msg)


def _contents(archive: Path, parts: Sequence[Extract]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a package that ``parts`` contain. npm puts everything into a folder ``package``."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.namelist():
                if not entry.endswith("/") and _parts_with(PurePosixPath(entry), parts):
                    yield PurePosixPath(entry), zipped.read(entry)
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            name = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            content = opened.extractfile(member) if member.isfile() and _parts_with(name, parts) else None
            if content is not None:
                yield name, content.read()


def _parts_with(name: PurePosixPath, parts: Sequence[Extract]) -> list[Extract]:
    return [part for part in parts if name.is_relative_to(part.member)]
