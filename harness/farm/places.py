"""The folders of a farm on this host."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from harness.system.paths import cache_folder


class Role(StrEnum):
    """What a host does for a farm: its devices measure, or it makes the files that they measure."""

    MEASURE = "measure"
    BUILD = "build"


def farm_certs(given: Path | None) -> Path:
    """Return the folder with this host's certificate: ``given``, or the system's place for a user's settings."""
    if given is not None:
        return given
    from platformdirs import user_config_path

    return user_config_path("phonebench") / "farm"


def farm_data(what: str) -> Path:
    """Return the folder where the scheduler or an agent keeps its files."""
    return cache_folder(None) / "farm" / what
