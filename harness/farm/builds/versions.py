"""The versions that a build host must share with the owner of a run, because they decide what a build makes."""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Iterable, Mapping
from importlib import metadata

from harness import __version__
from harness.artifacts.build import BuildOrder
from harness.artifacts.manifest import VARIANT_PACKAGES
from harness.artifacts.needs import packages_of
from harness.plan.cells import Build
from harness.spec.recipe import step_packages
from harness.system.packages import versions_of

NONE = "none"


@functools.cache
def host_versions() -> dict[str, str]:
    """Return the versions of everything that is installed on this host, and of the host itself."""
    installed = {_plain(dist.name): dist.version for dist in metadata.distributions() if dist.name}
    return installed | _own()


def needed_versions(order: BuildOrder, builds: Iterable[Build]) -> dict[str, str]:
    """Return the versions on this computer of whatever takes part in ``builds``."""
    cards = {card.name: card for card in order.cards}
    names: dict[str, None] = {}
    for build in builds:
        card = cards[build.model]
        names |= dict.fromkeys(packages_of(card, build))
        steps = order.recipes[build.variant].steps if card.ready is None else ()
        if steps:
            names |= dict.fromkeys((*step_packages(steps, has_student=card.student is not None), *VARIANT_PACKAGES))
    return {_plain(name): version for name, version in versions_of(tuple(names)).items()} | _own()


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """Return what of ``ours`` another host has in another version, in words; empty if nothing."""
    apart = ((name, theirs.get(name, NONE), version) for name, version in ours.items() if theirs.get(name) != version)
    return ", ".join(f"{name} {there} there and {here} here" for name, there, here in apart)


def _own() -> dict[str, str]:
    return {
        "phonebench": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _plain(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
