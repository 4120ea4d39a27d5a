"""A folder of ONNX Runtime's generate API: every file beside its configuration belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.readers.facts import FileFacts
from harness.system.decoding import plain_json
from harness.system.small_files import read_small

# The configuration of a model; those of large ones have a few kilobytes.
MOST_CONFIG_BYTES = 16 << 20


def window_of_all_layers(config: dict[str, Any]) -> int | None:
    """Return the window of a ``genai_config.json`` that has caches of its size, but no layers whose attention slides.

    Such a folder is right, and runs at all, for no more tokens than that. None for any other folder.
    """
    model = config.get("model")
    decoder = model.get("decoder") if isinstance(model, dict) else None
    sliding = decoder.get("sliding_window") if isinstance(decoder, dict) else None
    if not isinstance(sliding, dict) or sliding.get("layers") != [] or sliding.get("slide_key_value_cache"):
        return None
    size = sliding.get("window_size")
    return size if type(size) is int and size > 0 else None


def read_genai(path: Path) -> FileFacts:
    """Return the files beside ``path``, the configuration. Raises `ValueError` if it does not parse, `OSError`."""
    config = plain_json(read_small(path, MOST_CONFIG_BYTES).decode())
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        msg = f"{path.name} has no table 'model'"
        raise ValueError(msg)
    hidden = (".", "manifest.json")
    others = sorted(file.name for file in path.parent.iterdir() if file.is_file() and file != path)
    names = tuple(name for name in others if not name.startswith(hidden))
    return FileFacts(inputs=None, outputs=None, companions=names)
