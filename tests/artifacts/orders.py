"""Orders of artifacts for the build stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.artifacts.build import BuildOrder
from harness.model.card import ModelCard
from harness.plan.cells import Build
from harness.spec.recipe import AS_IS, Recipe
from harness.spec.shorthand import recipes_of


def order(
    cards: Sequence[ModelCard], builds: Sequence[Build], recipes: Mapping[str, Recipe] | None = None
) -> BuildOrder:
    """An order of ``builds``. Variants are short names unless they are in ``recipes``."""
    names = dict.fromkeys(build.variant for build in builds if build.variant != AS_IS)
    return BuildOrder(cards=cards, builds=builds, recipes=recipes or recipes_of(names, ()))
