"""Whether a file is what its name says: how much of it is in the precision, and whether its weights are there once.

Quantisers leave out what they do not know, such as recurrent layers, and then write a file called int8 whose weights
are float32. Only the file itself shows it.
"""

from __future__ import annotations

from dataclasses import replace

from harness.artifacts.export.left_float import LeftFloat, listed
from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.sources.prepared_model import Prepared
from harness.records import units
from harness.records.conditions import Condition, ConditionId
from harness.spec.recipe import Precision

_EIGHT_BITS = ("int8", "uint8")
# The types of weights in a file of each precision. Weights of four bits are packed in pairs as uint8 in .onnx.
_TYPES: dict[Precision, tuple[str, ...]] = {
    Precision.FP16: ("float16",),
    Precision.BF16: ("bfloat16",),
    Precision.INT8: _EIGHT_BITS,
    Precision.INT8_DYNAMIC: _EIGHT_BITS,
    Precision.INT8_WEIGHT: _EIGHT_BITS,
    Precision.INT16X8: _EIGHT_BITS,
    Precision.INT4_WEIGHT: ("int4", "uint4", "uint8"),
}
_FLOATS = ("float32", "float16", "bfloat16", "float64")
_FLOAT_BYTES = 4

# A file with fewer weights in its precision does not have it. Up to the higher share, the name needs an explanation.
LEAST_SHARE = 0.01
WHOLE_SHARE = 0.9
# In files of smaller networks, what is around the weights (scales, biases, names) takes most of the space.
LEAST_PARAMETERS = 4_096
# What a float32 file has around its weights, at most: 2 to 10 kB for networks of this size, by format.
AROUND_BYTES = 16_000
# A file that is larger than its weights in float32 must at least be quantised for the most part.
LEAST_SHARE_IF_LARGER = 0.5


def earned(manifest: Manifest, model: Prepared, left: tuple[LeftFloat, ...] = ()) -> Manifest:
    """Return ``manifest`` as unsupported if the file does not have its precision, else with conditions about it.

    ``left``: the layers that the exporter left in float.
    """
    share = precision_share(manifest)
    if share is None or manifest.recipe is None:
        return _with(manifest, _twice(manifest, model))
    precision = manifest.recipe.precision
    if precision not in (Precision.FP16, Precision.BF16):
        larger = _larger(manifest)
        if share < LEAST_SHARE or (larger and share < LEAST_SHARE_IF_LARGER):
            reason = (
                f"only {_percent(share)} of the weights in the file are in {_words(precision)}"
                f"{', and ' if larger else ''}{larger}: "
                f"{listed(left) or 'the quantiser of this format does not take the other layers'}"
            )
            return replace(manifest, state=ArtifactState.UNSUPPORTED, reason=reason)
    if manifest.parameters is not None and manifest.parameters < LEAST_PARAMETERS:
        return _with(manifest, [*([_partly(precision, share, left)] if left else []), *_twice(manifest, model)])
    # A mixed precision names the layers that it keeps in float.
    whole = manifest.kept_float or share >= WHOLE_SHARE
    partly = [] if whole and not left else [_partly(precision, share, left)]
    return _with(manifest, [*partly, *_larger_than_float(manifest), *_twice(manifest, model)])


def precision_share(manifest: Manifest) -> float | None:
    """Return the share (0…1) of the weights that are in the recipe's precision; None for float32, or if unknown."""
    kinds = _TYPES.get(manifest.recipe.precision) if manifest.recipe else None
    stored = manifest.types.weights if manifest.types else {}
    if kinds is None or not stored:
        return None
    packed = 2 if manifest.recipe and manifest.recipe.precision is Precision.INT4_WEIGHT else 1
    inside = sum(count * (packed if kind == "uint8" else 1) for kind, count in stored.items() if kind in kinds)
    outside = sum(count for kind, count in stored.items() if kind in _FLOATS and kind not in kinds)
    return inside / (inside + outside) if inside + outside else None


def traced(model: Prepared, fallback: str | None) -> tuple[Condition, ...]:
    """Return the condition of a file that holds one run of the network, recorded; none if it holds the network.

    ``fallback``: why the exporter traced. A network that decides by values cannot be captured in any other way.
    """
    why = [f"torch.export could not capture it ({fallback})"] if fallback else []
    why += [f"it decides by a value ({', '.join(model.branches)})"] if model.branches else []
    if not why:
        return ()
    summary = f"the file was made by tracing one run of the network: {' and '.join(why)}"
    return (Condition(id=ConditionId.TRACED, summary=summary),)


def _with(manifest: Manifest, conditions: list[Condition]) -> Manifest:
    return replace(manifest, conditions=(*manifest.conditions, *conditions))


def _partly(precision: Precision, share: float, left: tuple[LeftFloat, ...]) -> Condition:
    summary = f"{_percent(share)} of the weights are in {_words(precision)}, the others in float"
    if left:
        summary = f"{summary}: {listed(left)}"
    detail = "\n".join(f"{each.layer or '?'}: {each.kind}: {each.reason}" for each in left)
    return Condition(id=ConditionId.PARTLY_QUANTISED, summary=summary, detail=detail)


def _larger_than_float(manifest: Manifest) -> list[Condition]:
    larger = _larger(manifest)
    return [Condition(id=ConditionId.LARGER, summary=larger)] if larger else []


def _larger(manifest: Manifest) -> str:
    """In words that the file is larger than all weights of the network are in float32; empty if it is not."""
    parameters = manifest.parameters or 0
    floats = _FLOAT_BYTES * parameters
    if manifest.bytes is None or parameters < LEAST_PARAMETERS or manifest.bytes <= floats + AROUND_BYTES:
        return ""
    return (
        f"the file ({units.size(manifest.bytes)}) is larger than the network's weights in float32 "
        f"({units.size(floats)})"
    )


def _twice(manifest: Manifest, model: Prepared) -> list[Condition]:
    """A condition if tied weights are in the file more than once."""
    stored = manifest.types.weights if manifest.types else {}
    total, own = sum(stored.values()), manifest.parameters
    if not model.tied or own is None or not stored:
        return []
    extra = sum(model.tied.values())
    # Some numbers in a file are no weights, such as scales; a copy of a table is far more.
    if total < own + 0.9 * extra:
        return []
    listed = ", ".join(model.tied)
    summary = f"the file holds {total:,} numbers for {own:,} weights: tied weights are stored more than once ({listed})"
    return [Condition(id=ConditionId.STORED_TWICE, summary=summary)]


def _words(precision: Precision) -> str:
    return {
        Precision.FP16: "float16", Precision.BF16: "bfloat16", Precision.INT4_WEIGHT: "four-bit integers",
    }.get(precision, "eight-bit integers")  # fmt: skip


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"
