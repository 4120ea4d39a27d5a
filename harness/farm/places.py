"""The folders of a farm on this host, and the roles that an agent can have."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from harness.errors import UnknownNameError
from harness.system.paths import cache_folder


class Role(StrEnum):
    """What an agent does besides measuring. ``build``: it builds artifacts ahead of the devices."""

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


def read_roles(names: Sequence[str]) -> tuple[str, ...]:
    """Return the roles that ``names`` name. Raises `UnknownNameError`."""
    for name in names:
        if name not in set(Role):
            raise UnknownNameError(name, kind="role", allowed=[role.value for role in Role])
    return tuple(names)
