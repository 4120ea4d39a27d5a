"""Versions of installed packages, read without importing them."""

from __future__ import annotations

from importlib import metadata


def package_version(name: str) -> str | None:
    """Return the installed version of a distribution without importing it, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the installed ones of ``packages``."""
    found = {name: package_version(name) for name in packages}
    return {name: version for name, version in found.items() if version is not None}


def missing_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of ``packages`` are not installed."""
    return tuple(name for name in packages if package_version(name) is None)
