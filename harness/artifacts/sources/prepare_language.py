"""Prepares a language model: rows of token ids, and how likely the float model finds each token.

The text is cut into windows that do not overlap, each with the token that begins a text, so that every file is asked
the same. Questions follow, one row per answer. A ready-made file has no float model; without a text, its tokens are
drawn at random.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.sources.prepared_model import (
    CALIBRATION_FILE,
    REFERENCE_FILE,
    Choice,
    Prepared,
    PreparedLanguage,
    Question,
)
from harness.artifacts.sources.prompt_words import prompt_words
from harness.errors import BuildError, UsageError, typed_line
from harness.model.card import ModelCard, SourceKind
from harness.model.language import LanguageFacts, weight_files
from harness.runners.host.language import OUTPUT_NAMES
from harness.runners.host.runtimes.language import token_scores
from harness.runners.host.runtimes.session import SessionError
from harness.spec.formats import FORMATS
from harness.system.files import file_sha256, json_sha256
from harness.system.small_files import read_small
from harness.wire import INPUTS_FILE, DType, TensorSpec
from harness.wire.tensors import Array, write_tensors

# Tokens of one row, and the most rows of text. A bootstrap over rows needs 30 of them.
WINDOW_TOKENS = 192
MOST_WINDOWS = 32
_MOST_TEXT_BYTES = 256 << 20
# Of a large model fewer, because its float version runs on this computer: about 2 operations per weight and token.
MOST_OPERATIONS = 4e12
# Enough rows for prompts of made-up tokens, whose likelihoods say nothing.
RANDOM_WINDOWS = 4
# The vocabulary to draw from where a file does not say how many tokens it has: every model has as many.
SMALL_VOCABULARY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Rows of token ids, shape (count, tokens), and what they are."""

    tokens: Array
    windows: int
    real_text: bool
    questions: tuple[Question, ...] = ()
    window_tokens: int | None = None

    def facts(self, folder: Path) -> dict[str, Any]:
        """Write the rows and return the fields of `Prepared` about them."""
        inputs = (TensorSpec(name="tokens", dtype=DType.INT32, shape=self.tokens.shape[1:]),)
        write_tensors(folder / INPUTS_FILE, [self.tokens], inputs)
        # No precision of a language model is calibrated here, so no row is kept back.
        (folder / CALIBRATION_FILE).write_bytes(b"")
        return {
            "inputs": inputs,
            "data_sha256": file_sha256(folder / INPUTS_FILE),
            "calibration_sha256": file_sha256(folder / CALIBRATION_FILE),
            "test_count": len(self.tokens),
            "calibration_count": 0,
            "labelled": bool(self.questions),
            "random_inputs": not self.real_text,
            "random_calibration": True,
        }


def prepare_language(card: ModelCard, key: str, folder: Path) -> Prepared:
    """Write the rows of tokens and the float model's answers to ``folder``. Raises `BuildError`, `UsageError`."""
    facts = card.language or LanguageFacts()
    return _float(card, facts, key, folder) if card.kind is SourceKind.LANGUAGE else _ready(card, facts, key, folder)


def _float(card: ModelCard, facts: LanguageFacts, key: str, folder: Path) -> Prepared:
    network = load_float(card)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    vocabulary = int(network.get_input_embeddings().weight.shape[0])
    rows = _rows(card, facts, vocabulary, parameters)
    try:
        outputs = score_float(network, rows.tokens)
    except SessionError as error:
        msg = f"the float model in {card.source!r} is no reference: {error.message}; save its weights again"
        raise BuildError(msg) from error
    specs = tuple(
        TensorSpec(name=name, dtype=DType(array.dtype.name), shape=array.shape[1:])
        for name, array in zip(OUTPUT_NAMES, outputs, strict=True)
    )
    write_tensors(folder / REFERENCE_FILE, outputs, specs)
    right = [answer_of(question, outputs[0]) == question.answer for question in rows.questions]
    return Prepared(
        key=key,
        model=card.name,
        outputs=specs,
        weights_sha256=_weights_sha256(Path(card.source)),
        parameters=parameters,
        float_correct=sum(right) if right else None,
        float_answers=len(right) if right else None,
        language=_language(card, rows, facts, vocabulary),
        **rows.facts(folder),
    )


def _ready(card: ModelCard, facts: LanguageFacts, key: str, folder: Path) -> Prepared:
    from harness.model.ready import companions_of, facts_of

    vocabulary = facts.vocabulary or SMALL_VOCABULARY
    rows = _rows(card, facts, vocabulary, 0)
    files = facts_of(card)
    source = Path(card.source)
    digests = [file_sha256(path) for path in (source, *(companions_of(card, files) if files is not None else ()))]
    return Prepared(
        key=key,
        model=card.name,
        outputs=(),
        weights_sha256=digests[0] if len(digests) == 1 else json_sha256(digests),
        parameters=None,
        float_correct=None,
        language=_language(card, rows, facts, vocabulary),
        **rows.facts(folder),
    )


def _language(card: ModelCard, rows: _Rows, facts: LanguageFacts, vocabulary: int) -> PreparedLanguage:
    return PreparedLanguage(
        windows=rows.windows,
        real_text=rows.real_text,
        vocabulary=vocabulary,
        questions=rows.questions,
        cached_per_token=facts.cached_per_token,
        prompt_words=_prompt_words(card),
        window_tokens=rows.window_tokens,
    )


def _prompt_words(card: ModelCard) -> tuple[str, ...]:
    """Words for prompts of text; none where no runtime takes text, or no tokenizer can be read."""
    row = FORMATS[card.ready].language if card.ready is not None else None
    if card.ready is not None and (row is None or not row.takes_text):
        return ()
    try:
        return prompt_words(_tokenizer(card), _folder(card))
    except UsageError:
        return ()


def load_float(card: ModelCard) -> Any:
    """Return the float32 network in the folder of ``card``, in eval mode. Raises `BuildError`."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            card.source,
            dtype=torch.float32,
            local_files_only=True,
            # Without an answer in advance, transformers asks the terminal about code in the folder.
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        msg = f"transformers cannot load {card.source!r}: {typed_line(error)}"
        raise BuildError(msg) from error
    network, told = loaded
    _check_complete(card, told)
    network.eval()
    return network


def _check_complete(card: ModelCard, told: dict[str, Any]) -> None:
    """Raise `BuildError` if weights are missing: transformers draws them at random, and the network is another one."""
    missing = sorted(told.get("missing_keys") or ())
    if missing:
        what = "the weight" if len(missing) == 1 else f"{len(missing)} weights, such as"
        msg = f"{card.source!r} lacks {what} {missing[0]!r}, without which it is another network: copy it again"
        raise BuildError(msg)


def score_float(network: Any, tokens: Array) -> tuple[Array, Array]:
    """Return the likelihoods and likeliest tokens of each row: two arrays of shape (count, tokens - 1)."""
    import torch

    scored = []
    with torch.no_grad():
        for row in tokens:
            logits = network(input_ids=torch.from_numpy(row.astype(np.int64))[None], use_cache=False).logits[0]
            scored.append(token_scores(logits[:-1].float().numpy(), row[1:].tolist()))
    return np.stack([nll for nll, _ in scored]), np.stack([top1 for _, top1 in scored])


def answer_of(question: Question, nll: Array) -> int:
    """Return the index of the likeliest answer: the one whose tokens have the largest sum of log-likelihoods.

    ``nll`` has shape (rows, tokens - 1); token t of a row is at t - 1. Of equal answers, the first one is taken.
    """
    losses = [float(nll[c.row, c.begin - 1 : c.end - 1].astype(np.float64).sum()) for c in question.choices]
    return int(np.argmin(losses))


def _rows(card: ModelCard, facts: LanguageFacts, vocabulary: int, parameters: int) -> _Rows:
    tokenizer = _tokenizer(card) if facts.text is not None or facts.choices is not None else None
    questions = read_questions(Path(facts.choices)) if facts.choices is not None else []
    answers = [list(_answer_tokens(tokenizer, question)) for question in questions]
    longest = max((len(tokens) for rows in answers for tokens, _ in rows), default=0)
    # Files whose attention covers everything have no more context than a window that slides.
    window = min(WINDOW_TOKENS, facts.context or WINDOW_TOKENS, facts.window or WINDOW_TOKENS)
    width = max(window, longest)
    if facts.context is not None and width > facts.context:
        msg = f"a question in {facts.choices!r} has {longest} tokens, {card.name!r} holds {facts.context}: shorten it"
        raise UsageError(msg)
    windows = _windows(facts, tokenizer, window, _most_windows(parameters, width))
    real = windows is not None
    if windows is None:
        drawn = np.random.default_rng(card.seed).integers(0, vocabulary, (RANDOM_WINDOWS, width))
        windows = drawn.astype(np.int32)
    # What follows the text changes nothing about it, and is not looked at.
    windows = np.pad(windows, ((0, 0), (0, width - windows.shape[1])))
    rows, placed = _place(answers, questions, width, first=len(windows))
    tokens = np.concatenate([windows, rows]) if len(rows) else windows
    _check_vocabulary(card, tokens, vocabulary)
    kept = window if real and width > window else None
    return _Rows(tokens=tokens, windows=len(windows), real_text=real, questions=placed, window_tokens=kept)


def _most_windows(parameters: int, width: int) -> int:
    affordable = MOST_OPERATIONS / (2 * parameters * width) if parameters else MOST_WINDOWS
    return int(max(2, min(MOST_WINDOWS, affordable)))


def _tokenizer(card: ModelCard) -> Any:
    """The tokenizer in the model's folder. Raises `UsageError` for a file that has none beside it."""
    folder = _folder(card)
    try:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError, AttributeError, TypeError) as error:
        msg = f"cannot read a tokenizer in {str(folder)!r}, which a text needs: {typed_line(error)}"
        raise UsageError(msg) from error


def _folder(card: ModelCard) -> Path:
    source = Path(card.source)
    return source if source.is_dir() else source.parent


def _windows(facts: LanguageFacts, tokenizer: Any, width: int, most: int) -> Array | None:
    """The text in rows of ``width`` tokens, each with the token that begins a text; None without a text."""
    if facts.text is None:
        return None
    text = _text_of(Path(facts.text))
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    begin: list[int] = tokenizer("", add_special_tokens=True)["input_ids"][:1]
    step = width - len(begin)
    pieces = [[*begin, *ids[at : at + step]] for at in range(0, len(ids) - step + 1, step)]
    if not pieces:
        msg = f"the text {facts.text!r} has {len(ids)} tokens, and rows of {width} are scored: give a longer text"
        raise UsageError(msg)
    return np.array(pieces[:most], dtype=np.int32)


def read_questions(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of questions. Raises `UsageError` with the number of a line that is not one."""
    questions = []
    # Not `str.splitlines`, which also ends lines at characters that JSON allows within a string.
    for number, line in enumerate(_text_of(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not _is_question(value):
            msg = (
                f"line {number} of {path.name} is no question: write "
                '{"question": "…", "choices": ["…", "…"], "answer": 0}, with the index of the right choice'
            )
            raise UsageError(msg)
        if len(set(value["choices"])) < len(value["choices"]):
            msg = f"line {number} of {path.name} has the same choice twice, which no likelihood tells apart: change one"
            raise UsageError(msg)
        questions.append(value)
    if not questions:
        msg = f"{path.name} has no questions: write one JSON object a line"
        raise UsageError(msg)
    return questions


def _text_of(path: Path) -> str:
    """The text of a file. Raises `UsageError` for one that cannot be read, or is too large for a text."""
    try:
        # Programs of Windows mark UTF-8 by a first character.
        return read_small(path, _MOST_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Characters that stand for the unreadable ones would be scored as if they were the text.
        msg = f"{str(path)!r} is not UTF-8 at byte {error.start}: save it as UTF-8"
        raise UsageError(msg) from error
    except OSError as error:
        msg = f"cannot read {str(path)!r} ({error.strerror or error}): give a text file"
        raise UsageError(msg) from error


def _is_question(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_text(value.get("question")):
        return False
    choices, answer = value.get("choices"), value.get("answer")
    if not isinstance(choices, list) or len(choices) < 2 or not all(_is_text(c) and c for c in choices):
        return False
    return isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices)


def _is_text(value: Any) -> bool:
    """Whether a value of JSON is a string of whole characters: an escape may stand for half of one."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _answer_tokens(tokenizer: Any, question: dict[str, Any]) -> Iterator[tuple[list[int], int]]:
    """The tokens of the question with each answer after a space, and where the answer begins."""
    begin: list[int] = tokenizer("", add_special_tokens=True)["input_ids"][:1]
    asked = [*begin, *tokenizer(question["question"], add_special_tokens=False)["input_ids"]]
    if not asked:
        msg = (
            f"the question {question['question']!r} has no tokens, so the first of an answer follows nothing: write one"
        )
        raise UsageError(msg)
    for choice in question["choices"]:
        answer = tokenizer(" " + choice, add_special_tokens=False)["input_ids"]
        yield [*asked, *answer], len(asked)


def _place(
    answers: Sequence[list[tuple[list[int], int]]], questions: Sequence[dict[str, Any]], width: int, *, first: int
) -> tuple[Array, tuple[Question, ...]]:
    """The rows of all answers, filled up with token 0, which follows the answer and so changes nothing, and where."""
    flat = [tokens for rows in answers for tokens, _ in rows]
    filled = np.zeros((len(flat), width), dtype=np.int32)
    for row, tokens in enumerate(flat):
        filled[row, : len(tokens)] = tokens
    placed, row = [], first
    for rows, question in zip(answers, questions, strict=True):
        choices = tuple(Choice(row=row + n, begin=begin, end=len(t)) for n, (t, begin) in enumerate(rows))
        placed.append(Question(choices=choices, answer=question["answer"]))
        row += len(rows)
    return filled, tuple(placed)


def _check_vocabulary(card: ModelCard, tokens: Array, vocabulary: int) -> None:
    highest = int(tokens.max())
    if highest >= vocabulary:
        msg = (
            f"the tokenizer of {card.name!r} gives token {highest}, and the model has {vocabulary} tokens (0 to "
            f"{vocabulary - 1}): it belongs to another model"
        )
        raise UsageError(msg)


def _weights_sha256(folder: Path) -> str:
    return json_sha256([file_sha256(path) for path in weight_files(folder)])
