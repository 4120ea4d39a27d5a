"""The ``.gguf`` of a Llama-like language model, written with the package ``gguf`` from ggml-org.

llama.cpp rotates pairs of neighbouring numbers where Hugging Face rotates halves, so the rows of queries and keys are
put into its order. Tokens come from ``tokenizer.json``, which must be a byte-level BPE.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.export.exporter import UnsupportedError, no_precision
from harness.artifacts.export.gguf_tokens import pre_tokenizer
from harness.artifacts.export.language_folder import check_activation, full_config, rotary, stored_weights
from harness.model.language import window_of
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe
from harness.wire.tensors import Array

_TYPES = {
    Precision.FP32: "F32",
    Precision.FP16: "F16",
    Precision.INT8_WEIGHT: "Q8_0",
    Precision.INT4_WEIGHT: "Q4_0",
}
_ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.down_proj": "ffn_down",
    "mlp.up_proj": "ffn_up",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_OF_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.weight")
# The kinds of tokens in a file: ordinary ones, and those that stand for no text.
_NORMAL, _CONTROL = 1, 3
# Embeddings are read by rows, and llama.cpp's own converters keep them at 8 bits where the rest has 4.
_EMBEDDING = "token_embd.weight"


class GgufExporter:
    """Writes each precision from the folder of a language model."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._config = full_config(source)

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the file to ``path``."""
        import gguf

        kind = self._config["architectures"][0]
        if recipe.precision not in _TYPES:
            raise no_precision(recipe, path)
        if kind not in _ARCHITECTURES:
            msg = (
                f"phonebench writes .gguf for {', '.join(_ARCHITECTURES)}, and this is {kind}: bring a file of your own"
            )
            raise UnsupportedError(msg)
        check_activation(self._config, "llama.cpp")
        writer = gguf.GGUFWriter(str(path), "llama")
        self._add_sizes(writer)
        self._add_tokens(writer)
        word = _TYPES[recipe.precision]
        writer.add_file_type(gguf.LlamaFileType[f"{'ALL' if word == 'F32' else 'MOSTLY'}_{word}"])
        for name, array in self._weights():
            of_tensor = "Q8_0" if word == "Q4_0" and name == _EMBEDDING else word
            _add(writer, name, array, gguf.GGMLQuantizationType[of_tensor if array.ndim > 1 else "F32"])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def _add_sizes(self, writer: Any) -> None:
        config = self._config
        heads = config["num_attention_heads"]
        rope = rotary(config)
        if rope["rope_type"] != "default":
            msg = f"phonebench does not write rotary embeddings scaled by {rope['rope_type']!r} to .gguf"
            raise UnsupportedError(msg)
        size = config.get("head_dim") or config["hidden_size"] // heads
        # Within its window, attention that slides is the same as any other.
        writer.add_context_length(min(config["max_position_embeddings"], window_of(config)))
        writer.add_embedding_length(config["hidden_size"])
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(heads)
        writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
        writer.add_key_length(size)
        writer.add_value_length(size)
        writer.add_rope_dimension_count(size)
        writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0))
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_vocab_size(config["vocab_size"])

    def _add_tokens(self, writer: Any) -> None:
        file = self._source / "tokenizer.json"
        described: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        splits_like = pre_tokenizer(described)
        model = described["model"]
        names = {at: word for word, at in model["vocab"].items()}
        names |= {token["id"]: token["content"] for token in described.get("added_tokens", [])}
        control = {token["id"] for token in described.get("added_tokens", [])}
        count = self._config["vocab_size"]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(splits_like)
        writer.add_token_list([names.get(at, f"<unused {at}>") for at in range(count)])
        writer.add_token_types([_CONTROL if at in control or at not in names else _NORMAL for at in range(count)])
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
        ends = self._config.get("eos_token_id")
        writer.add_bos_token_id(self._config.get("bos_token_id") or 0)
        writer.add_eos_token_id((ends[0] if isinstance(ends, list) else ends) or 0)
        writer.add_add_bos_token(False)

    def _weights(self) -> list[tuple[str, Array]]:
        return [self._placed(name, tensor.numpy()) for name, tensor in stored_weights(self._source)]

    def _placed(self, name: str, array: Array) -> tuple[str, Array]:
        match = _OF_LAYER.fullmatch(name)
        if name in _WHOLE:
            return _WHOLE[name], array
        if match is None or match[2] not in _LAYER:
            msg = f"the weight {name!r} has no place in a .gguf of a Llama-like model"
            raise UnsupportedError(msg)
        heads = self._config["num_attention_heads"]
        of_kind = {"self_attn.q_proj": heads, "self_attn.k_proj": self._config.get("num_key_value_heads") or heads}
        placed = _in_pairs(array, of_kind[match[2]]) if match[2] in of_kind else array
        return f"blk.{match[1]}.{_LAYER[match[2]]}.weight", placed


def _in_pairs(array: Array, heads: int) -> Array:
    """The rows of each head with its two halves interleaved."""
    size = array.shape[0] // heads
    return array.reshape(heads, 2, size // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def _add(writer: Any, name: str, array: Array, kind: Any) -> None:
    import gguf

    ready = np.ascontiguousarray(array, dtype=np.float32)
    writer.add_tensor(name, gguf.quants.quantize(ready, kind), raw_dtype=kind)
