"""A folder for ONNX Runtime's generate API, written by the model builder that comes with it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from harness.artifacts.export.exporter import UnsupportedError, no_precision
from harness.errors import typed_line
from harness.readers.genai import window_of_all_layers
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe

# The words of the builder. With int4, products are computed in int8, which is the fast kernel of processors.
_PRECISIONS = {
    Precision.FP32: ("fp32", ()),
    Precision.INT4_WEIGHT: ("int4", ("int4_accuracy_level=4",)),
}
_ELSE = "measure it in another format, or bring a folder of your own"


class GenaiExporter:
    """Builds each precision from the folder of a language model."""

    def __init__(self, source: Path) -> None:
        self._source = source

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the folder that ``path``, its configuration, lies in."""
        from onnxruntime_genai.models.builder import create_model, parse_extra_options

        if recipe.precision not in _PRECISIONS:
            raise no_precision(recipe, path)
        word, options = _PRECISIONS[recipe.precision]
        # All logits are kept: they are what shows whether the file is right.
        extra = [*options, "prune_lm_head=false"]
        with tempfile.TemporaryDirectory(prefix="phonebench-genai-") as cache:
            where = (None, str(self._source), str(path.parent), word, "cpu", cache)
            try:
                create_model(*where, **parse_extra_options(*where, extra))
            except NotImplementedError as error:
                msg = f"ONNX Runtime's model builder does not know the architecture {self._kind()}: {_ELSE}"
                raise UnsupportedError(msg) from error
            # It knows the architecture, but misses what this configuration, or this version of transformers, has.
            except (KeyError, AttributeError, TypeError, IndexError, ValueError, AssertionError) as error:
                msg = f"ONNX Runtime's model builder fails at this {self._kind()} ({typed_line(error)}): {_ELSE}"
                raise UnsupportedError(msg) from error
        _keep_within_window(path)

    def _kind(self) -> str:
        config = json.loads((self._source / "config.json").read_text(encoding="utf-8"))
        return str(config["architectures"][0])


def _keep_within_window(path: Path) -> None:
    """Give the folder no more context than a window that its attention ignores, and whole caches.

    Where the builder does not see which layers slide, it writes attention over everything, but asks for caches of the
    window's size, which longer texts overflow.
    """
    described: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    window = window_of_all_layers(described)
    if window is None:
        return
    model = described["model"]
    model["context_length"] = min(model["context_length"], window)
    del model["decoder"]["sliding_window"]
    path.write_text(json.dumps(described, indent=4), encoding="utf-8")
