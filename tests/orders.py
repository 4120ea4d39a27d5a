"""Orders of artifacts for the build stage."""

from __future__ import annotations

from collections.abc import Sequence

from harness.artifacts.stage import BuildOrder
from harness.model import ModelCard
from harness.plan import Build
from harness.recipe import AS_IS
from harness.shorthand import recipes_of


def order(cards: Sequence[ModelCard], builds: Sequence[Build]) -> BuildOrder:
    """An order of ``builds``, whose variants are short names."""
    names = dict.fromkeys(build.variant for build in builds if build.variant != AS_IS)
    return BuildOrder(cards=cards, builds=builds, recipes=recipes_of(names, ()))
