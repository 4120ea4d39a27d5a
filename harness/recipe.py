"""Recipes: what is done to a model before it becomes an artifact, as plain data saved with what it made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UnknownNameError


class Precision(StrEnum):
    """Number formats of weights and activations; each is applied by the format's own quantiser.

    ``int8``: static, weights and activations, calibrated. ``int8-dynamic``: int8 weights, activation ranges found
    at run time.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT8_DYNAMIC = "int8-dynamic"


# The variant of a ready-made file of another tool, which is run as it is.
AS_IS = "as-is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One variant: its name on the command line, its precision, and how many inputs calibrate a static one."""

    name: str
    precision: Precision
    calibration_inputs: int = 100


RECIPES: dict[str, Recipe] = {p.value: Recipe(name=p.value, precision=p) for p in Precision}


def parse_recipe(name: str, *, where: str = "") -> Recipe:
    """Return the recipe that the shorthand ``name`` stands for. Raises `UnknownNameError`."""
    try:
        return RECIPES[name]
    except KeyError:
        raise UnknownNameError(name, kind="variant", allowed=RECIPES, where=where) from None
