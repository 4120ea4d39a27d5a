"""A .gguf splits text as the tokenizer does that it was written from, by llama.cpp's own count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.export.exporter import UnsupportedError
from harness.artifacts.export.gguf import GgufExporter
from harness.artifacts.export.gguf_tokens import pre_tokenizer
from harness.runners.host.runtimes.registry import open_language
from harness.spec.recipe import Recipe
from harness.wire import Delegate, Format, RuntimeRequest

# The expressions in the tokenizers of Llama 3, Qwen2 and Mistral Nemo.
LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
    r"|\s+"
)
QWEN = LLAMA.replace(r"\p{N}{1,3}", r"\p{N}")
NEMO = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?"
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)"
    r"|\s+"
)
# What the ways differ in: long numbers, contractions, spaces in a row, ends of lines, capitals.
SAMPLES = (
    "it is 1234567 or 12 and 2024",
    "don't, DON'T, we'll, WE'LL",
    "a    b\n\n  c\t\td",
    "end.\n\nnext,\nline",
    "helloWorld HTTPServer ofThe",
    "a/b//c (x) [1]",
)


def byte_level(*, regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": regex}


def split(pattern: str) -> dict[str, Any]:
    step = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [step, byte_level(regex=False)]}


DIGITS = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(regex=True)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model whose tokenizer merges the samples as far as it may."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("gguf")
    pytest.importorskip("xllamacpp")
    place = tmp_path_factory.mktemp("tokens")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    # Nothing is split while it learns, so that every merge across a place of a split is there.
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([text for sample in SAMPLES for text in (sample, sample)], trainer)
    tokenizer.save(str(place / "tokenizer.json"))
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, head_dim=32, max_position_embeddings=128, bos_token_id=0,
        eos_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(place)
    return place


def changed(folder: Path, split: dict[str, Any], *, ignore_merges: bool) -> dict[str, Any]:
    """The tokenizer of the model, with another way to split, written into its folder."""
    path = folder / "tokenizer.json"
    described: dict[str, Any] = json.loads(path.read_text())
    described["pre_tokenizer"] = split
    described["model"]["ignore_merges"] = ignore_merges
    path.write_text(json.dumps(described))
    return described


@pytest.mark.parametrize(
    ("name", "way", "ignore_merges"),
    [
        ("gpt-2", byte_level(regex=True), False),
        ("llama-bpe", split(LLAMA), True),
        ("smaug-bpe", split(LLAMA), False),
        ("qwen2", split(QWEN), False),
        ("tekken", split(NEMO), True),
        ("smollm", DIGITS, False),
    ],
)
def test_llama_cpp_counts_as_many_tokens_as_the_tokenizer(
    name: str, way: dict[str, Any], ignore_merges: bool, folder: Path, tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    described = changed(folder, way, ignore_merges=ignore_merges)
    assert pre_tokenizer(described) == name
    own = tokenizers.Tokenizer.from_str(json.dumps(described))
    path = tmp_path / "model.gguf"
    GgufExporter(folder).export(Recipe(name="fp32"), None, path)
    session: Any = open_language(path, RuntimeRequest(delegate=Delegate.CPU, threads=1), Format.GGUF)
    counted = {}
    for text in SAMPLES:
        answers: list[dict[str, Any]] = []
        session._ask({"prompt": text, "n_predict": 1, "stream": False}, answers.append)
        counted[text] = answers[-1]["usage"]["prompt_tokens"]
    session.close()
    assert counted == {text: len(own.encode(text, add_special_tokens=False).ids) for text in SAMPLES}


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (split(r"\p{N}{1,2}|\s+"), "does not know llama.cpp's name"),
        (byte_level(regex=True) | {"add_prefix_space": True}, "does not know llama.cpp's name"),
        ({"type": "Metaspace", "replacement": "▁"}, "byte-level BPE tokenizers"),
        (None, "byte-level BPE tokenizers"),
    ],
)
def test_another_way_to_split_is_refused_in_a_sentence(way: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        pre_tokenizer({"model": {"type": "BPE"}, "pre_tokenizer": way})
