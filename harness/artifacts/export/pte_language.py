"""The ``.pte`` of a language model, by the exporter for Llama-like models in ExecuTorch's package.

It takes Meta's names of weights and its parameters. They are made from the folder in the layout of Hugging Face, so
rotary embeddings stay in the order of Hugging Face (``use_hf_rope``).
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.artifacts.export.exporter import UnsupportedError, no_precision
from harness.artifacts.export.language_folder import check_activation, full_config, rotary, stored_weights
from harness.model.language import window_of
from harness.readers.pte import tokenizer_of
from harness.runners.host.runtimes.pte_language import CACHE_METHOD
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe

# The cache of keys and values is part of the program, at its full size.
MOST_CONTEXT = 4096
_OPTIONS: dict[Precision, tuple[str, ...]] = {
    Precision.FP32: (),
    Precision.INT8_DYNAMIC_INT4: ("-qmode", "8da4w", "-G", "32"),
}
# What sets an architecture apart, in the words of the exporter's parameters.
_ARCHITECTURES: dict[str, dict[str, object]] = {
    "LlamaForCausalLM": {},
    "MistralForCausalLM": {},
    "Qwen2ForCausalLM": {"attention_qkv_bias": True},
    "Qwen3ForCausalLM": {"use_qk_norm": True, "qk_norm_before_rope": True},
}
_WHOLE = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "output.weight",
}
_LAYER = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "self_attn.q_norm": "attention.q_norm_fn",
    "self_attn.k_norm": "attention.k_norm_fn",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
# What the exporter's function that scales rotary embeddings has built in (``apply_scaling`` of its ``rope.py``).
_FIXED_SCALING = {"low_freq_factor": 1, "original_max_position_embeddings": 8192}
_WITH_BIAS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_OF_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")


class PteLanguageExporter:
    """Lowers each precision to XNNPACK from the folder of a language model."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._config = full_config(source)

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:
        """Write the program to ``path``."""
        if recipe.precision not in _OPTIONS:
            raise no_precision(recipe, path)
        if backend is not Backend.XNNPACK:
            msg = "phonebench lowers language models to XNNPACK only: leave out --delegate"
            raise UnsupportedError(msg)
        # What cannot be is said before the exporter is imported, which takes long.
        parameters, weights = self._parameters(), self._weights()
        import torch
        from executorch.examples.models.llama.export_llama_lib import build_args_parser, export_llama

        with tempfile.TemporaryDirectory(prefix="phonebench-llama-") as name:
            folder = Path(name)
            torch.save(weights, folder / "weights.pth")
            (folder / "params.json").write_text(json.dumps(parameters), encoding="utf-8")
            words = self._words(folder, path, _OPTIONS[recipe.precision], parameters)
            export_llama(build_args_parser().parse_args(words))
        # ExecuTorch's runner on a phone takes text, and finds the tokenizer beside the program.
        for tokenizer in tokenizer_of(self._source):
            shutil.copyfile(tokenizer, path.with_name(tokenizer.name))

    def _words(self, folder: Path, path: Path, options: tuple[str, ...], parameters: dict[str, object]) -> list[str]:
        context = str(self.context())
        files = ["--checkpoint", str(folder / "weights.pth"), "--params", str(folder / "params.json")]
        lengths = ["--max_seq_length", context, "--max_context_length", context]
        return [
            *("--model", "llama3_2", *files, *lengths, *options, "-d", "fp32"),
            *("-kv", "--use_sdpa_with_kv_cache", "-X", "--xnnpack-extended-ops"),
            *("--metadata", json.dumps(self._metadata(parameters)), "--output_name", str(path)),
        ]

    def context(self) -> int:
        """Return how many tokens, prompt and output together, the program has room for."""
        # Within its window, attention that slides is the same as any other.
        return int(min(self._config["max_position_embeddings"], MOST_CONTEXT, window_of(self._config)))

    def _metadata(self, parameters: dict[str, Any]) -> dict[str, object]:
        """What runners ask a program for: the tokens that begin and end a text, and the size of its cache in bytes."""
        ends = self._config.get("eos_token_id")
        cached = parameters["n_layers"] * parameters["n_kv_heads"] * parameters["head_dim"]
        return {
            "get_bos_id": self._config.get("bos_token_id") or 0,
            "get_eos_ids": ends if isinstance(ends, list) else [ends or 0],
            CACHE_METHOD: 2 * cached * 4 * self.context(),
        }

    def _parameters(self) -> dict[str, object]:
        config, kind = self._config, self._config["architectures"][0]
        if kind not in _ARCHITECTURES:
            names = ", ".join(_ARCHITECTURES)
            msg = f"ExecuTorch's exporter is used for {names}, and this is {kind}: bring a .pte of your own"
            raise UnsupportedError(msg)
        check_activation(config, "ExecuTorch's exporter")
        rope = rotary(config)
        heads = config["num_attention_heads"]
        return {
            "dim": config["hidden_size"],
            "n_layers": config["num_hidden_layers"],
            "n_heads": heads,
            "n_kv_heads": config.get("num_key_value_heads") or heads,
            "head_dim": config.get("head_dim") or config["hidden_size"] // heads,
            "vocab_size": config["vocab_size"],
            "hidden_dim": config["intermediate_size"],
            "norm_eps": config["rms_norm_eps"],
            "rope_theta": rope.get("rope_theta") or config.get("rope_theta") or 10_000.0,
            **_scaling(rope),
            "use_hf_rope": True,
            "attention_qkv_bias": bool(config.get("attention_bias")),
            **_ARCHITECTURES[kind],
        }

    def _weights(self) -> dict[str, Any]:
        """The weights in float32 under Meta's names; a tied output has a copy of its own."""
        weights = {_renamed(name): tensor for name, tensor in stored_weights(self._source)}
        weights.setdefault("output.weight", weights["tok_embeddings.weight"].clone())
        return weights


def _scaling(rope: dict[str, Any]) -> dict[str, object]:
    """The exporter's parameters for scaled rotary embeddings. Raises `UnsupportedError` for what it does not compute.

    It scales as Llama 3 does, by a whole factor, from an original context that is fixed.
    """
    if rope["rope_type"] == "default":
        return {"use_scaled_rope": False}
    if rope["rope_type"] != "llama3":
        msg = f"ExecuTorch's exporter does not scale rotary embeddings by {rope['rope_type']!r}"
        raise UnsupportedError(msg)
    for name, value in _FIXED_SCALING.items():
        if rope.get(name, value) != value:
            msg = f"ExecuTorch's exporter scales rotary embeddings with {name} {value}, and this model has {rope[name]}"
            raise UnsupportedError(msg)
    factors = {"rope_scale_factor": rope["factor"], "high_freq_factor": rope.get("high_freq_factor", 4)}
    for name, value in factors.items():
        if int(value) != value:
            msg = f"ExecuTorch's exporter takes whole numbers as {name}, and this model has {value}"
            raise UnsupportedError(msg)
    return {"use_scaled_rope": True} | {name: int(value) for name, value in factors.items()}


def _renamed(name: str) -> str:
    match = _OF_LAYER.fullmatch(name)
    if name in _WHOLE:
        return _WHOLE[name]
    # The exporter would leave out a bias that it has no place for, without a word.
    if match is None or match[2] not in _LAYER or (match[3] == "bias" and match[2] not in _WITH_BIAS):
        msg = f"the weight {name!r} has no place in ExecuTorch's exporter for Llama-like models"
        raise UnsupportedError(msg)
    return f"layers.{match[1]}.{_LAYER[match[2]]}.{match[3]}"
