"""Which precisions can be built as which format, with a reason for each that cannot.

The holes in the table of formats are known without trying: the format has no such numbers, or a library is known to
fail or to give garbage. Everything else is built and then verified.
"""

from __future__ import annotations

from harness.spec.formats import BACKENDS, FORMATS, Backend
from harness.spec.recipe import Precision, Recipe
from harness.wire import Format


def why_not_build(recipe: Recipe, format_: Format, backend: Backend | None) -> str | None:
    """Return why ``recipe`` cannot be built as ``format_`` for ``backend``, or None if it can be tried."""
    row = FORMATS[format_]
    if recipe.channel_last and not row.channel_last_option:
        offers = ", ".join(other.value for other, its in FORMATS.items() if its.channel_last_option)
        return f"{format_.value} takes inputs in the model's own layout: channel-last inputs are an option of {offers}"
    hole = row.holes.get(recipe.precision) or _why_not_own_type(recipe, format_, backend)
    if hole is None and backend is not None:
        hole = BACKENDS[backend].holes.get(recipe.precision)
    return hole


def _why_not_own_type(recipe: Recipe, format_: Format, backend: Backend | None) -> str | None:
    """Return why inputs and outputs cannot have the precision's own type, or None if they can."""
    if recipe.float_io:
        return None
    if recipe.precision is Precision.BF16:
        return "runners take float inputs as float16 or float32, not bfloat16: remove float_io"
    if recipe.precision is not Precision.FP16:
        return f"float_io = false works for fp16 only: with {recipe.precision.value} the format decides the input types"
    return FORMATS[format_].no_float16_io or (BACKENDS[backend].no_float16_io if backend else None)
