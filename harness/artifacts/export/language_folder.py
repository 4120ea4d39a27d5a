"""What exporters read from the folder of a language model: its configuration with every default, and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.artifacts.export.exporter import UnsupportedError
from harness.model.language import weight_files

# The gated activation of Llama-like networks by both of its names.
_SILU = ("silu", "swish")


def full_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` of ``folder`` as transformers completes it.

    A file may leave out whatever is the default of its architecture, and older files have other names for some keys.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    completed: dict[str, Any] = config.to_dict()
    return completed


def stored_weights(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name and the tensor of each weight, in float32."""
    from safetensors.torch import load_file

    for file in weight_files(folder):
        for name, tensor in load_file(file).items():
            yield name, tensor.float()


def rotary(config: dict[str, Any]) -> dict[str, Any]:
    """Return how a completed ``config`` rotates embeddings, with at least the key ``rope_type``."""
    rope: dict[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return {"rope_type": rope.get("type", "default")} | rope


def check_activation(config: dict[str, Any], program: str) -> None:
    """Raise `UnsupportedError` for another activation than SiLU, the only one that ``program`` computes."""
    activation = config.get("hidden_act", _SILU[0])
    if activation not in _SILU:
        msg = f"{program} computes SiLU between the two products of an MLP, and this model has {activation!r}"
        raise UnsupportedError(msg)
