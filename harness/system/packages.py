"""Versions of installed packages, read without importing them, and packages that must not be imported."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import metadata


def package_version(name: str) -> str | None:
    """Return the version of a distribution, None if it is not installed; nothing is imported."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each of ``packages`` that is installed."""
    versions = {name: package_version(name) for name in packages}
    return {name: version for name, version in versions.items() if version is not None}


def missing_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of ``packages`` are not installed."""
    return tuple(name for name in packages if package_version(name) is None)


@contextlib.contextmanager
def hidden(name: str) -> Iterator[None]:
    """Make ``import name`` fail inside the block, unless it has been imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the documented way to refuse an import
    try:
        yield
    finally:
        del sys.modules[name]
