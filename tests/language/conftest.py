"""One real run of the bundled language model, shared by the tests that look at it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.cache import Cache
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from tests.conftest import call_phonebench
from tests.vphone.fixtures import apks, desktop

__all__ = ["apks", "desktop"]

MODEL = Path(__file__).parents[2] / "models" / "tiny_llama"
PROMPTS, NEW_TOKENS = (24, 96), 8


@dataclass(frozen=True)
class LanguageRun:
    """Where the run and its artifacts are, and its cells as plain values."""

    home: Path
    cells: list[dict[str, Any]]

    def cell(self, variant: str, format_: str, prompt: int = PROMPTS[0]) -> dict[str, Any]:
        """The one cell of that variant, format and length of prompt."""
        (cell,) = [
            c
            for c in self.cells
            if (c["variant"], c["format"]) == (variant, format_) and c["lengths"]["prompt_tokens"] == prompt
        ]
        return cell

    def artifact(self, variant: str, format_: str) -> Path:
        """The file that the cell ran."""
        for manifest in (self.home / "cache" / "artifacts").glob("*/*/manifest.json"):
            text = manifest.read_text()
            if f'"variant":"{variant}"' in text and f'"format":"{format_}"' in text:
                name = "genai_config.json" if format_ == "genai" else f"model.{format_}"
                return manifest.with_name(name)
        raise AssertionError(variant, format_)

    def prepared(self, folder: str = "") -> PreparedModel:
        """The rows of tokens and the float model's answers, of the bundled model or of a folder of the run."""
        source = str(self.home / folder) if folder else str(MODEL)
        model = Cache(self.home / "cache").entry("prepared", source_key(resolve(source, ModelOptions())), read_prepared)
        assert model is not None
        return model


def copied(folder: Path) -> Path:
    """A copy of the bundled model without its card."""
    target = folder / "model"
    shutil.copytree(MODEL, target, ignore=shutil.ignore_patterns("model.toml", "*.py", "__pycache__"))
    return target


@pytest.fixture(scope="session")
def language_run(tmp_path_factory: pytest.TempPathFactory) -> LanguageRun:
    home = tmp_path_factory.mktemp("language")
    prompts = ",".join(map(str, PROMPTS))
    command = ("run", str(MODEL), "--format", "genai", "--variant", "fp32,int4", "--prompt", prompts)
    limits = ("--new-tokens", str(NEW_TOKENS), "--launches", "2", "--cache-dir", "cache")
    ran = call_phonebench(*command, *limits, cwd=home)
    assert ran.code == 0, ran.err
    return LanguageRun(home=home, cells=call_phonebench("show", "--json", cwd=home).json()["cells"])


def small_model(folder: Path) -> Path:
    """A language model of one layer with random weights and the bundled tokenizer: what can be lowered in seconds."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=1024,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.2,
    )
    network = transformers.LlamaForCausalLM(config)
    # Only tokens of whole characters are ever the likeliest: ExecuTorch's runner for Python fails at others.
    vocabulary = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    odd = [at for word, at in vocabulary.items() if at in (0, 1) or not word.isascii()]
    network.lm_head.weight.data[odd] = 0
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODEL / name, folder / name)
    (folder / "test.txt").write_text((MODEL / "test.txt").read_text()[:1200])
    return folder
