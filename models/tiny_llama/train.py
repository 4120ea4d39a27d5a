"""Trains the language model in this folder on the documentation inside Python's standard library.

Run: ``python models/tiny_llama/train.py``; it takes about ten minutes on one core. The text is what every installation
of CPython 3.11 carries: the reference behind ``help()`` and the docstrings of the library's modules. Every tenth topic
is held out: it trains neither the tokenizer nor the network, and a part of it becomes ``test.txt``.
"""

from __future__ import annotations

import ast
import json
import math
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch

FOLDER = Path(__file__).resolve().parent
VOCABULARY, CONTEXT, LENGTH, BATCH, STEPS, PEAK_RATE, SEED = 1024, 2048, 256, 16, 420, 4e-3, 0
TEST_BYTES = 16_000
# Modules whose docstrings are about the interpreter's own tests, or hardly English.
SKIPPED = ("test", "idlelib", "lib2to3", "site-packages", "dist-packages", "turtledemo", "encodings", "pydoc_data")
BEGIN, END = "<s>", "</s>"


def documents() -> tuple[list[str], list[str]]:
    """Return the texts to train on, and those that are held out."""
    ordered = [topics[name] for name in sorted(topics)]
    held_out = ordered[::10]
    return [text for index, text in enumerate(ordered) if index % 10] + list(docstrings()), held_out


def docstrings() -> Iterator[str]:
    """Yield the docstrings of each module of the standard library that has more than a few lines of them."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if any(part in SKIPPED for part in path.relative_to(root).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
        text = "\n\n".join(doc for node in nodes if (doc := ast.get_docstring(node)))
        if len(text) > 400:
            yield text


def make_tokenizer(texts: list[str]) -> Any:
    """Return a byte-level BPE tokenizer trained on ``texts``; it begins every text with ``<s>``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return tokenizer


def make_network() -> Any:
    """Return the untrained network."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    torch.manual_seed(SEED)
    return LlamaForCausalLM(config)


def train(network: Any, stream: torch.Tensor) -> None:
    """Train ``network`` on random pieces of ``stream``, a vector of token ids."""
    generator = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=0.1, betas=(0.9, 0.95))
    network.train()
    for step in range(STEPS):
        rate = min((step + 1) / 30, 0.5 * (1 + math.cos(math.pi * step / STEPS)) + 0.02)
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * rate
        starts = torch.randint(len(stream) - LENGTH - 1, (BATCH,), generator=generator).tolist()
        batch = torch.stack([stream[start : start + LENGTH] for start in starts])
        loss = network(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if step % 20 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    network.eval()


def perplexity(network: Any, stream: torch.Tensor) -> float:
    """Return the perplexity over consecutive pieces of ``stream``."""
    pieces = stream[: len(stream) // LENGTH * LENGTH].view(-1, LENGTH)
    with torch.no_grad():
        losses = [network(input_ids=piece[None], labels=piece[None]).loss.item() for piece in pieces]
    return math.exp(sum(losses) / len(losses))


def main() -> None:
    """Train, and write everything that the folder needs."""
    torch.set_num_threads(1)
    texts, held_out = documents()
    tokenizer = make_tokenizer(texts)
    tokenizer.save(str(FOLDER / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    stream = torch.tensor([token for text in texts for token in (*tokenizer.encode(text).ids, 1)])
    print(f"{len(stream)} tokens of {sum(map(len, texts))} characters", flush=True)
    network = make_network()
    train(network, stream)
    test = "\n".join(held_out).encode()[:TEST_BYTES].decode(errors="ignore")
    (FOLDER / "test.txt").write_text(test, encoding="utf-8")
    network.half().save_pretrained(FOLDER)
    held = torch.tensor(tokenizer.encode(test).ids)
    print(f"perplexity {perplexity(network.float(), held):.1f} on {len(held)} tokens; uniform is {VOCABULARY}")


if __name__ == "__main__":
    main()
