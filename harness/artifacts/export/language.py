"""The exporters of language models by format: from a folder in the layout of Hugging Face to a file or a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.artifacts.export import genai, gguf, litertlm, pte_language
from harness.artifacts.export.exporter import Exporter
from harness.wire import Format

# Each takes the model's folder.
LANGUAGE_EXPORTERS: dict[Format, Callable[[Path], Exporter]] = {
    Format.GENAI: genai.GenaiExporter,
    Format.PTE: pte_language.PteLanguageExporter,
    Format.LITERTLM: litertlm.LitertlmExporter,
    Format.GGUF: gguf.GgufExporter,
}
