"""Puts the runtimes' files for browsers on this computer, from npm or from archives that the user has."""

from __future__ import annotations

from pathlib import Path

from harness.devices.kind import InstalledRunner
from harness.errors import BuildError, UnknownNameError
from harness.runners.web.libraries import LIBRARIES, WebLibrary, default_store, fetch, take
from harness.spec.formats import FORMATS

# By the names that the runner apps of phones have.
_BY_NAME: dict[str, WebLibrary] = {
    FORMATS[format_].android_runtime or format_.value: library for format_, library in LIBRARIES.items()
}


def install_libraries(
    runtimes: tuple[str, ...], folder: Path | None, *, store: Path | None = None
) -> tuple[InstalledRunner, ...]:
    """Fetch the files of ``runtimes``, of all if none is named, or take them from the archives in ``folder``.

    Raises `UnknownNameError` for a runtime that browsers do not have. What else fails is in the result.
    """
    for name in runtimes:
        if name not in _BY_NAME:
            raise UnknownNameError(name, kind="runtime", allowed=_BY_NAME)
    store = store or default_store()
    return tuple(_installed(name, folder, store) for name in runtimes or _BY_NAME)


def _installed(name: str, folder: Path | None, store: Path) -> InstalledRunner:
    library = _BY_NAME[name]
    try:
        if folder is None:
            fetch(library, store)
        else:
            take(library, folder, store)
    except BuildError as error:
        return InstalledRunner(runtime=name, error=str(error))
    return InstalledRunner(runtime=name, version=f"{library.title} {library.version}")
