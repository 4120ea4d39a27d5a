"""The ``.litertlm`` of a language model, by the exporter for folders of Hugging Face in LiteRT Torch.

It converts the network twice, for a piece of the prompt and for one token, quantises the result with AI Edge
Quantizer, and packs it with the tokenizer and the tokens that begin and end a text.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.artifacts.export.exporter import UnsupportedError, no_precision
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe

# The cache of keys and values is part of the network, at its full size.
MOST_CONTEXT = 4096
# The exporter's own default: longer prompts are evaluated in pieces of this many tokens.
PREFILL_TOKENS = 128
# The words of the exporter. Weights have a scale per channel, and with 8da4w one per 32 numbers, as ExecuTorch's.
_RECIPES = {
    Precision.FP32: "none",
    Precision.INT8_DYNAMIC: "dynamic_wi8_afp32",
    Precision.INT8_WEIGHT: "weight_only_wi8_afp32",
    Precision.INT4_WEIGHT: "weight_only_wi4_afp32",
    Precision.INT8_DYNAMIC_INT4: "dynamic_wi4b32_afp32",
}


class LitertlmExporter:
    """Builds each precision from the folder of a language model."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the file to ``path``."""
        from litert_torch.generative.export_hf.export import export

        if recipe.precision not in _RECIPES:
            raise no_precision(recipe, path)
        context = min(int(self._config.get("max_position_embeddings") or MOST_CONTEXT), MOST_CONTEXT)
        with tempfile.TemporaryDirectory(prefix="phonebench-litertlm-") as name:
            try:
                export(
                    model=str(self._source),
                    output_dir=name,
                    prefill_lengths=[min(PREFILL_TOKENS, context)],
                    cache_length=context,
                    quantization_recipe=_RECIPES[recipe.precision],
                )
            except NotImplementedError as error:
                msg = f"LiteRT Torch's exporter does not support this model: {error}"
                raise UnsupportedError(msg) from error
            written = sorted(Path(name).glob("*.litertlm"))
            if not written:
                msg = "LiteRT Torch's exporter wrote no .litertlm for this model: bring a file of your own"
                raise UnsupportedError(msg)
            shutil.move(written[0], path)
