"""A folder for ONNX Runtime's generate API, written by the model builder that comes with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.artifacts.export.exporter import UnsupportedError, no_precision
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe

# The words of the builder. With int4, products are computed in int8, which is the fast kernel of processors.
_PRECISIONS = {
    Precision.FP32: ("fp32", ()),
    Precision.INT4_WEIGHT: ("int4", ("int4_accuracy_level=4",)),
}


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
                msg = f"ONNX Runtime's model builder does not know this architecture: {error}"
                raise UnsupportedError(msg) from error
