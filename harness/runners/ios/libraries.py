"""Puts the runtimes' headers and libraries into ``ios_runner/libraries/``, where Xcode and SwiftPM look for them."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path, PurePosixPath

from filelock import FileLock

from harness.errors import BuildError
from harness.runners.android.apks import default_workshop
from harness.runners.android.libraries import fetch_npm
from harness.runners.android.tools import Toolbox
from harness.runners.ios.pins import PACKAGES, Extract, LibraryPackage
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
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "fetch.lock"):
        for item in PACKAGES:
            stamp = folder / f"{item.package.name}.{target.value}"
            if not stamp.is_file() or stamp.read_text(encoding="utf-8") != item.package.sha256:
                archive = fetch_npm(item.package, shop.work / "libraries" / "downloads", tools or shop.tools)
                _extract(archive, _parts(item, target), folder)
                write_whole(stamp, item.package.sha256.encode())


def _parts(item: LibraryPackage, target: Target) -> tuple[Extract, ...]:
    return (*item.headers, *(item.ios if target is Target.IOS else item.linux))


def _extract(archive: Path, parts: Iterable[Extract], folder: Path) -> None:
    """Write ``parts`` of an npm package below ``folder``. Raises `BuildError` for one that the package lacks."""
    parts = tuple(parts)
    for part in parts:
        shutil.rmtree(folder / part.target, ignore_errors=True)
    missing = {part.member for part in parts}
    with tarfile.open(archive) as opened:
        for member in opened:
            for part, target in _targets(member, parts):
                missing.discard(part.member)
                content = opened.extractfile(member)
                if content is not None:
                    path = folder / target
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())
    if missing:
        msg = f"{archive.name!r} lacks {sorted(missing)}: the pinned package has changed its layout"
        raise BuildError(msg)


def _targets(member: tarfile.TarInfo, parts: Iterable[Extract]) -> Iterator[tuple[Extract, PurePosixPath]]:
    """The parts that a file of the archive belongs to, each with the path that it gets."""
    if not member.isfile():
        return
    path = PurePosixPath(member.name)
    for part in parts:
        wanted = PurePosixPath("package") / part.member
        if path.is_relative_to(wanted):
            yield part, PurePosixPath(part.target) / path.relative_to(wanted)
