"""Language models: what their folders and files say about themselves, read without loading any weights.

A folder in the layout of Hugging Face has ``config.json``, weights in safetensors and a tokenizer. A folder of ONNX
Runtime's generate API has ``genai_config.json``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.readers.genai import MOST_CONFIG_BYTES, window_of_all_layers
from harness.readers.gguf import ItemCount, read_gguf_header
from harness.readers.litertlm import read_litertlm
from harness.readers.pte import is_language, read_pte
from harness.system.decoding import plain_json
from harness.system.files import is_plain_name
from harness.system.small_files import read_small
from harness.wire import Format

CONFIG_FILE = "config.json"
WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
GENAI_FILE = "genai_config.json"
_ARCHITECTURE_ENDS = ("ForCausalLM", "LMHeadModel")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
TEXT_SUFFIXES = (".txt", ".md")
CHOICES_SUFFIX = ".jsonl"
# 4 (2026-11): a network that lacks weights is refused; rows are no longer than a sliding window.
# 3 (2026-11): a long question no longer lengthens the rows of text.
# 2 (2026-11): words for prompts of runtimes that take text. 1 (2026-11): the first version.
PREPARED_LANGUAGE = 4
# A record holds numbers of 64 bits.
_MOST = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageFacts:
    """What is known about a language model before it is loaded; None for what its files do not say.

    ``context``: the most tokens it can hold. ``window``: how many of them its attention reaches, where it slides.
    ``vocabulary``: the number of its tokens. ``cached_per_token``: the numbers (not bytes) that the cache of keys and
    values holds per token. ``architecture``: its class by the name in transformers. ``text``: the file with the text to
    score. ``choices``: the file with multiple-choice questions.
    """

    context: int | None = None
    window: int | None = None
    vocabulary: int | None = None
    cached_per_token: int | None = None
    architecture: str = ""
    text: str | None = None
    choices: str | None = None


def is_language_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder with a language model in the layout of Hugging Face."""
    config = _json(path / CONFIG_FILE)
    names = config.get("architectures") if config is not None else None
    return isinstance(names, list) and any(str(name).endswith(_ARCHITECTURE_ENDS) for name in names)


def why_no_language(path: Path) -> str | None:
    """Return why a folder that is no language model is none; None if it has no configuration of Hugging Face."""
    file = path / CONFIG_FILE
    if not file.is_file():
        return None
    config = _json(file)
    if config is None:
        return f"its {CONFIG_FILE} is not JSON, so it is damaged"
    names = config.get("architectures")
    if not isinstance(names, list) or not names:
        return f'its {CONFIG_FILE} names no architecture, such as "architectures": ["LlamaForCausalLM"]'
    return f"its {CONFIG_FILE} names {names[0]}, which is not one of those that end with {_ARCHITECTURE_ENDS[0]}"


def is_genai_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder of ONNX Runtime's generate API."""
    return (path / GENAI_FILE).is_file()


def read_config(folder: Path) -> LanguageFacts:
    """Return the facts in ``config.json`` of ``folder``. Raises `UsageError` for a folder without its other files."""
    config = _json(folder / CONFIG_FILE) or {}
    # Models that also see or hear keep the sizes of their language part in a table of their own.
    sizes = config | _table(config.get("text_config"))
    architectures = config.get("architectures")
    if not weight_files(folder):
        msg = f"{str(folder)!r} has a {CONFIG_FILE} but no weights: put its .safetensors files there{_pickled(folder)}"
        raise UsageError(msg)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        msg = f"{str(folder)!r} has no tokenizer: put {' or '.join(TOKENIZER_FILES[:2])} beside {CONFIG_FILE}"
        raise UsageError(msg)
    return LanguageFacts(
        context=_whole(sizes.get("max_position_embeddings") or sizes.get("n_positions")),
        window=int(reach) if math.isfinite(reach := window_of(sizes)) else None,
        vocabulary=_whole(sizes.get("vocab_size")),
        cached_per_token=_cached(
            layers=sizes.get("num_hidden_layers") or sizes.get("n_layer"),
            heads=sizes.get("num_key_value_heads") or sizes.get("num_attention_heads") or sizes.get("n_head"),
            size=sizes.get("head_dim") or _head_size(sizes),
        ),
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "",
        text=_existing(folder / "test.txt"),
        choices=_existing(folder / "choices.jsonl"),
    )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of weights in ``folder`` that transformers reads.

    Many folders have others beside them: the same weights under the names of their author, or copies in float16.
    Raises `UsageError` for an index that names a file outside of the folder: its signature would not cover that.
    """
    whole, index = folder / WEIGHTS_FILE, _json(folder / INDEX_FILE)
    if whole.is_file():
        return (whole,)
    places = index.get("weight_map") if index is not None else None
    if isinstance(places, dict):
        names = sorted({str(name) for name in places.values()})
        outside = next((name for name in names if not is_plain_name(name)), None)
        if outside is not None:
            msg = f"{str(folder / INDEX_FILE)!r} names {outside!r}, which is no file beside it: put the weights there"
            raise UsageError(msg)
        return tuple(folder / name for name in names)
    return tuple(file for file in sorted(folder.glob("*.safetensors")) if not file.name.startswith("."))


def window_of(config: dict[str, Any]) -> float:
    """Return how many tokens back the attention of a ``config.json`` reaches; infinity where it does not slide.

    The exporters to pte and gguf write attention over the whole context, which is another network beyond the window.
    """
    slides = config.get("use_sliding_window", True) and _whole(config.get("sliding_window"))
    return slides or math.inf


def read_ready(path: Path, format_: Format) -> LanguageFacts | None:
    """Return the facts of a ready-made file, or None if it holds no language model as far as can be seen."""
    match format_:
        case Format.GENAI:
            return _read_genai(path)
        case Format.GGUF:
            return _read_gguf(path)
        case Format.LITERTLM:
            return _read_litertlm(path)
        case Format.PTE:
            return LanguageFacts() if _is_pte_language(path) else None
        case _:
            return None


def check_text(path: Path, where: str) -> None:
    """Raise `UsageError` unless ``path`` is a text, or a file of questions."""
    if path.suffix.lower() not in (*TEXT_SUFFIXES, CHOICES_SUFFIX) or not path.is_file():
        msg = (
            f"source is {str(path)!r} in {where}; give a language model a text (.txt or .md) or questions (.jsonl) "
            "that exists"
        )
        raise UsageError(msg)


def with_data(facts: LanguageFacts, path: Path) -> LanguageFacts:
    """Return ``facts`` with the text or the questions at ``path`` in place of the model's own."""
    from dataclasses import replace

    if path.suffix.lower() == CHOICES_SUFFIX:
        return replace(facts, choices=str(path))
    return replace(facts, text=str(path))


def why_too_long(name: str, facts: LanguageFacts, prompt_tokens: int, new_tokens: int) -> str | None:
    """Return why the model cannot hold a prompt and what it generates, or None if it can or does not say."""
    total = prompt_tokens + new_tokens
    if facts.context is None or total <= facts.context:
        return None
    return (
        f"a prompt of {prompt_tokens} tokens and {new_tokens} new ones need a context of {total} tokens; {name!r} has "
        f"{facts.context}: shorten --prompt or --new-tokens"
    )


def _read_genai(path: Path) -> LanguageFacts:
    config = _json(path) or {}
    model = _table(config.get("model"))
    decoder = _table(model.get("decoder"))
    limits = [_whole(model.get("context_length")), window_of_all_layers(config)]
    return LanguageFacts(
        context=min((limit for limit in limits if limit is not None), default=None),
        vocabulary=_whole(model.get("vocab_size")),
        cached_per_token=_cached(
            layers=decoder.get("num_hidden_layers"),
            heads=decoder.get("num_key_value_heads"),
            size=decoder.get("head_size"),
        ),
    )


def _read_gguf(path: Path) -> LanguageFacts:
    try:
        header = read_gguf_header(path)
    except (OSError, ValueError):
        return LanguageFacts()
    kind, tokens = header.get("general.architecture", ""), header.get("tokenizer.ggml.tokens")
    heads, width = _whole(header.get(f"{kind}.attention.head_count")), _whole(header.get(f"{kind}.embedding_length"))
    size = header.get(f"{kind}.attention.key_length") or (width // heads if heads and width else None)
    return LanguageFacts(
        context=_whole(header.get(f"{kind}.context_length")),
        vocabulary=int(tokens) if isinstance(tokens, ItemCount) else _whole(header.get(f"{kind}.vocab_size")),
        cached_per_token=_cached(
            layers=header.get(f"{kind}.block_count"),
            heads=header.get(f"{kind}.attention.head_count_kv", heads),
            size=size,
        ),
    )


def _read_litertlm(path: Path) -> LanguageFacts:
    try:
        facts = read_litertlm(path)
    except (OSError, ValueError):
        return LanguageFacts()
    return LanguageFacts(context=facts.context, vocabulary=facts.vocabulary)


def _is_pte_language(path: Path) -> bool:
    try:
        return is_language(read_pte(path))
    except (OSError, ValueError):
        return False


def _cached(*, layers: Any, heads: Any, size: Any) -> int | None:
    """A key and a value per layer, head and token."""
    numbers = [_whole(layers), _whole(heads), _whole(size)]
    if any(number is None for number in numbers):
        return None
    cached = 2 * (numbers[0] or 0) * (numbers[1] or 0) * (numbers[2] or 0)
    return cached if cached < _MOST else None


def _head_size(sizes: dict[str, Any]) -> int | None:
    width = _whole(sizes.get("hidden_size") or sizes.get("n_embd"))
    heads = _whole(sizes.get("num_attention_heads") or sizes.get("n_head"))
    return width // heads if width and heads else None


def _whole(value: Any) -> int | None:
    # Neither a bool nor the count of a list, which has a number per layer, nor a number that no record can hold.
    return value if type(value) is int and 0 < value < _MOST else None


def _pickled(folder: Path) -> str:
    """The end of a sentence where the folder has weights in a format that may run code when it is read."""
    names = sorted(file.name for file in folder.glob("*.bin"))
    return f"; {names[0]} is a pickle, which is not read: save the model again with save_pretrained" if names else ""


def _existing(path: Path) -> str | None:
    return str(path) if path.is_file() else None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = plain_json(read_small(path, MOST_CONFIG_BYTES).decode())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _table(value: Any) -> dict[str, Any]:
    """The table, empty if it is something else: these files come from elsewhere."""
    return value if isinstance(value, dict) else {}
