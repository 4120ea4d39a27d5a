"""The short names of recipes on the command line: words joined by ``+``, such as ``prune50+int8-histogram``.

A word is a step with its number, or a precision with its options after hyphens. All words come from the tables below,
so that an error message can list them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.errors import UnknownNameError, UsageError
from harness.spec.recipe import (
    CalibrationFrom,
    Cluster,
    CorrectBias,
    Distill,
    Equalise,
    Fuse,
    Importance,
    KeepFloat,
    LowRank,
    Observer,
    Precision,
    Prune,
    Qat,
    Quantisation,
    Recipe,
    Rounding,
    Sparsify,
    Step,
)

# What a run builds when no variant is named.
DEFAULT_VARIANTS = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT8_DYNAMIC)

# What a run builds of a language model when no variant is named.
LANGUAGE_VARIANTS = (Precision.FP32.value, "int4", Precision.INT8_DYNAMIC_INT4.value)

# The share of layers that the word ``mixed`` leaves in float.
MIXED_SHARE = 0.1

# Steps with a number: a percentage of channels, of weights, of the full rank or of the energy; or a count of clusters.
_NUMBERED: dict[str, Callable[[int], Step]] = {
    "prune": lambda n: Prune(ratio=n / 100),
    "prune-taylor": lambda n: Prune(ratio=n / 100, importance=Importance.TAYLOR),
    "prune-activation": lambda n: Prune(ratio=n / 100, importance=Importance.ACTIVATION),
    "sparse": lambda n: Sparsify(ratio=n / 100),
    "surgery": lambda n: Sparsify(ratio=n / 100, dynamic=True),
    "low-rank": lambda n: LowRank(ratio=n / 100),
    "energy": lambda n: LowRank(energy=n / 100),
    "cluster": lambda n: Cluster(clusters=n),
}
_PLAIN: dict[str, Step] = {"fuse": Fuse(), "equalise": Equalise(), "distill": Distill()}

# Options after a calibrated precision.
_QUANTISER_WORDS: dict[str, dict[str, Any]] = {
    "tensor": {"per_channel": False},
    **{observer.value.replace("-", ""): {"observer": observer} for observer in Observer},
    "datafree": {"calibration": CalibrationFrom.BATCH_NORM},
    "range": {"calibration": CalibrationFrom.RANGE},
    "mixed": {"keep_float": KeepFloat(share=MIXED_SHARE)},
}
# The options that are steps before the precision, and take their calibration from the other options.
_EQUALISED, _CORRECTED, _LEARNT = "equalised", "corrected", "learnt"
_STEP_OPTIONS = (_EQUALISED, _CORRECTED, _LEARNT)
_CALIBRATED = ("qat-int8", Precision.INT8.value, Precision.INT16X8.value)
_HALVES = (Precision.FP16, Precision.BF16)
# What runtimes of language models call their precisions.
_ALIASES = {"int4": Precision.INT4_WEIGHT}

WORDS: tuple[str, ...] = (
    *(p.value for p in Precision),
    *_ALIASES,
    *(f"{p.value}-whole" for p in _HALVES),
    *(f"{Precision.INT8.value}-{knob}" for knob in (*_QUANTISER_WORDS, *_STEP_OPTIONS)),
    "qat-int8",
    *_PLAIN,
    *(f"{name}{16 if name == 'cluster' else 50}" for name in _NUMBERED),
    "nhwc",
)


@dataclass(slots=True, kw_only=True)
class _Parts:
    """The parts of a recipe, from the words read so far."""

    steps: list[Step]
    precision: str = ""
    fields: dict[str, Any]


def parse_recipe(name: str, *, where: str = "") -> Recipe:
    """Return the recipe that the short ``name`` stands for.

    Raises `UnknownNameError` for an unknown word, `UsageError` for words that do not go together.
    """
    parts = _Parts(steps=[], fields={})
    for word in name.split("+"):
        _read_word(word, parts, name=name, where=where)
    precision = Precision(parts.fields.pop("precision", Precision.FP32))
    return Recipe(name=name, steps=tuple(parts.steps), precision=precision, **parts.fields)


def _read_word(word: str, parts: _Parts, *, name: str, where: str) -> None:
    if word == "nhwc":
        parts.fields["channel_last"] = True
        return
    fields = _precision_word(word)
    if fields is None:
        if parts.precision:
            # An unknown word is reported as such before its position is.
            _step_word(word, where=where)
            msg = f"variant {name!r} has {word!r} after {parts.precision!r}: steps come first, the precision last"
            raise UsageError(msg)
        parts.steps.append(_step_word(word, where=where))
        return
    if parts.precision:
        msg = f"variant {name!r} has two precisions, {parts.precision!r} and {word!r}: give at most one"
        raise UsageError(msg)
    parts.precision = word
    if _EQUALISED in word.split("-"):
        parts.steps.append(Equalise(calibration=fields["quantisation"].calibration))
    if word.startswith("qat-"):
        parts.steps.append(Qat())
    if {_CORRECTED, _LEARNT} & {*word.split("-")}:
        parts.steps.append(_correction(fields["quantisation"], learnt=_LEARNT in word.split("-")))
    parts.fields |= fields


def _correction(knobs: Quantisation, *, learnt: bool) -> CorrectBias:
    rounding = Rounding.LEARNT if learnt else Rounding.NEAREST
    return CorrectBias(calibration=knobs.calibration, per_channel=knobs.per_channel, rounding=rounding)


def _precision_word(word: str) -> dict[str, Any] | None:
    """The recipe fields that a precision word stands for, options included; None if the word is no precision."""
    if word in {p.value for p in Precision}:
        return {"precision": word}
    if word in _ALIASES:
        return {"precision": _ALIASES[word]}
    if word in {f"{p.value}-whole" for p in _HALVES}:
        return {"precision": word.removesuffix("-whole"), "float_io": False}
    for start in _CALIBRATED:
        if word != start and not word.startswith(f"{start}-"):
            continue
        options = [option for option in word.removeprefix(start).split("-")[1:] if option not in _STEP_OPTIONS]
        if not all(option in _QUANTISER_WORDS for option in options):
            return None
        fields: dict[str, Any] = {}
        for option in options:
            fields |= _QUANTISER_WORDS[option]
        return {"precision": start.removeprefix("qat-"), "quantisation": Quantisation(**fields)}
    return None


def _step_word(word: str, *, where: str) -> Step:
    if word in _PLAIN:
        return _PLAIN[word]
    match = re.fullmatch(r"([a-z-]+?)(\d{1,6})", word)
    if match is None or match[1] not in _NUMBERED:
        raise UnknownNameError(word, kind="variant", allowed=WORDS, where=where)
    try:
        return _NUMBERED[match[1]](int(match[2]))
    except UsageError as error:
        msg = f"variant {word!r}: {error}"
        raise UsageError(msg) from error


def recipes_of(variants: Iterable[str], own: Iterable[Recipe]) -> dict[str, Recipe]:
    """Return the recipe of each of ``variants``: the one in ``own`` with that name, else that of the short name."""
    named = {recipe.name: recipe for recipe in own}
    return {name: named.get(name) or parse_recipe(name) for name in variants}


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """Return ``recipe`` as the plain values of a ``[[recipe]]`` table, without fields that are None."""
    plain: dict[str, Any] = _without_nulls(msgspec.to_builtins(recipe))
    return plain


def _without_nulls(value: Any) -> Any:
    """Leave out fields that are None, because TOML has no null."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list | tuple) else value
