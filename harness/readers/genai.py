"""A folder of ONNX Runtime's generate API: every file beside its configuration belongs to it."""

from __future__ import annotations

import json
from pathlib import Path

from harness.readers.facts import FileFacts


def read_genai(path: Path) -> FileFacts:
    """Return the files beside ``path``, the configuration. Raises `ValueError` if it does not parse, `OSError`."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        msg = f"{path.name} has no table 'model'"
        raise ValueError(msg)
    hidden = (".", "manifest.json")
    others = sorted(file.name for file in path.parent.iterdir() if file.is_file() and file != path)
    names = tuple(name for name in others if not name.startswith(hidden))
    return FileFacts(inputs=None, outputs=None, companions=names)
