"""The line that ExecuTorch's language model runner prints after each answer: ``PyTorchObserver {…}``.

Its moments are in ms, unless the line says how many units a second has.
"""

from __future__ import annotations

import json
import re
from typing import Any

from harness.exchange.content import Content
from harness.exchange.fields import SECOND, count, mapping, number
from harness.exchange.imported import ImportedCell, ImportedFile
from harness.records.origin import StatedFigure, StatedName

_LINE = re.compile(r"PyTorchObserver\s+(\{.*\})")
_KEYS = {"prompt_tokens", "generated_tokens", "inference_start_ms", "inference_end_ms", "first_token_ms"}


def recognises(content: Content) -> bool:
    """Say whether the text has a line with the moments of an answer."""
    return bool(_answers(content))


def read(content: Content) -> ImportedFile:
    """Return one cell per answer, which become launches."""
    return ImportedFile(cells=tuple(_cell(content, answer) for answer in _answers(content)))


def _answers(content: Content) -> list[dict[str, Any]]:
    answers = []
    for match in _LINE.finditer(content.text):
        try:
            answer = mapping(json.loads(match[1], parse_constant=lambda _: None))
        except (ValueError, RecursionError):
            continue
        if answer.keys() >= _KEYS:
            answers.append(answer)
    return answers


def _cell(content: Content, answer: dict[str, Any]) -> ImportedCell:
    prompt, generated = count(answer["prompt_tokens"]), count(answer["generated_tokens"])
    read_s = _between(answer, "inference_start_ms", "prompt_eval_end_ms")
    answer_s = _between(answer, "prompt_eval_end_ms", "inference_end_ms")
    first_s = _between(answer, "inference_start_ms", "first_token_ms")
    values = (
        (StatedName.PREFILL, prompt / read_s if prompt and read_s else None, "tokens per second"),
        (StatedName.DECODE, generated / answer_s if generated and answer_s else None, "tokens per second"),
        (StatedName.FIRST_TOKEN, first_s * SECOND if first_s else None, "time to the first token"),
    )
    load_s = _between(answer, "model_load_start_ms", "model_load_end_ms")
    return ImportedCell(
        model=content.stem,
        format="pte",
        program="ExecuTorch's language model runner",
        runtime="executorch",
        settings={"prompt tokens": str(prompt or 0), "generated tokens": str(generated or 0)},
        load_ns=round(load_s * SECOND) if load_s else None,
        stated=tuple(StatedFigure(name=n, value=v, definition=words) for n, v, words in values if v is not None),
    )


def _between(answer: dict[str, Any], begin: str, end: str) -> float | None:
    """The seconds between two moments, None if one is missing or they are in the wrong order."""
    first, last = number(answer.get(begin)), number(answer.get(end))
    per_second = count(answer.get("SCALING_FACTOR_UNITS_PER_SECOND")) or 1000
    return (last - first) / per_second if first is not None and last is not None and last > first else None
