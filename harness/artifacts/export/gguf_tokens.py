"""How a tokenizer splits text before it merges bytes, in the names that llama.cpp has for it.

A ``.gguf`` names one of llama.cpp's own ways. With a wrong one it makes other tokens of numbers and spaces, without an
error. So only those are written whose regular expression is known to be that of the tokenizer.
"""

from __future__ import annotations

from typing import Any

from harness.artifacts.export.exporter import UnsupportedError

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_BY_THREE = rf"{_CONTRACTIONS}|{_BEFORE}\p{{L}}+|\p{{N}}{{1,3}}|{_REST}"
_BY_ONE = rf"{_CONTRACTIONS}|{_BEFORE}\p{{L}}+|\p{{N}}|{_REST}"
_CASED = (
    rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
# The expression of a tokenizer.json, and whether whole words of the vocabulary are taken without merging.
_SPLITS = {
    (_BY_THREE, True): "llama-bpe",
    (_BY_THREE, False): "smaug-bpe",
    (_BY_ONE, False): "qwen2",
    (_CASED, True): "tekken",
}


def pre_tokenizer(tokenizer: dict[str, Any]) -> str:
    """Return llama.cpp's name for how ``tokenizer``, a ``tokenizer.json``, splits text.

    Raises `UnsupportedError` for one that is not a byte-level BPE, or that splits in a way that is not known.
    """
    model, steps = tokenizer.get("model") or {}, _steps(tokenizer.get("pre_tokenizer"))
    if model.get("type") != "BPE" or not steps or steps[-1].get("type") != "ByteLevel":
        msg = "phonebench writes .gguf for byte-level BPE tokenizers (tokenizer.json) only: bring a file of your own"
        raise UnsupportedError(msg)
    name = _name(steps, ignores_merges=bool(model.get("ignore_merges")))
    if name is None:
        kinds = ", ".join(str(step.get("type")) for step in steps)
        msg = (
            "phonebench does not know llama.cpp's name for how this tokenizer splits text (its pre-tokenizer: "
            f"{kinds}): bring a .gguf written by llama.cpp's own converter"
        )
        raise UnsupportedError(msg)
    return name


def _steps(described: Any) -> list[dict[str, Any]]:
    if not isinstance(described, dict):
        return []
    inner = described.get("pretokenizers")
    return [step for step in inner if isinstance(step, dict)] if isinstance(inner, list) else [described]


def _name(steps: list[dict[str, Any]], *, ignores_merges: bool) -> str | None:
    *before, last = steps
    if last.get("add_prefix_space"):
        return None
    own_split = last.get("use_regex", True)
    if own_split and not ignores_merges:
        digits = [step for step in before if step.get("type") == "Digits" and step.get("individual_digits")]
        return {(0, 0): "gpt-2", (1, 1): "smollm"}.get((len(before), len(digits)))
    if own_split or len(before) != 1 or not _isolates(before[0]):
        return None
    return _SPLITS.get((before[0]["pattern"].get("Regex"), ignores_merges))


def _isolates(step: dict[str, Any]) -> bool:
    plain = step.get("type") == "Split" and step.get("behavior") == "Isolated" and not step.get("invert")
    return plain and isinstance(step.get("pattern"), dict)
