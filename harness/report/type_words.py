"""The types of numbers in a file, in words."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.artifact import FileTypes, ValueType

FLOAT = "float32"
# Below this share, a second type is biases and scales, which every quantised file has.
_WORTH_NAMING = 0.05


def weight_words(types: FileTypes | None) -> str:
    """Return ``float32``, ``int8 98 %`` or ``int8 60 %, float32 40 %``; empty if unknown or without weights."""
    total = sum(types.weights.values()) if types is not None else 0
    if types is None or not total:
        return ""
    shares = sorted(((count / total, kind) for kind, count in types.weights.items()), reverse=True)
    if shares[0][0] >= 0.9995:
        return shares[0][1]
    named = [shares[0], *(entry for entry in shares[1:] if entry[0] >= _WORTH_NAMING)]
    return ", ".join(f"{kind} {100 * share:.3g} %" for share, kind in named)


def value_words(values: Sequence[ValueType]) -> str:
    """Return the types of inputs or outputs, each once, such as ``float32, int64``."""
    return ", ".join(dict.fromkeys(value.type for value in values))


def type_words(types: FileTypes | None) -> str:
    """Return ``int8 weights 98 %, int8 input, int8 output``. Inputs and outputs are left out if they are float32."""
    if types is None:
        return ""
    weights = weight_words(types)
    kind, _, rest = weights.partition(" ")
    words = [f"{kind} weights {rest}".strip()] if weights else []
    for what, values in (("input", types.inputs), ("output", types.outputs)):
        text = value_words(values)
        words += [f"{text} {what}{'s' if len(values) > 1 else ''}"] if text not in ("", FLOAT) else []
    return ", ".join(words)


def is_quantised(types: FileTypes) -> bool:
    """Return whether an app has to quantise an input of the file, or to scale an output back."""
    return any(value.quantised for value in (*types.inputs, *types.outputs))
