"""Keeps XNNPACK's quantiser away from integers.

It marks additions, concatenations and the like whatever their types. Token ids, positions and masks would then be
rounded to 256 values, and an embedding would be given floats as indices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_ANNOTATION = "quantization_annotation"


def floats_only(quantizer: Any) -> Any:
    """Return ``quantizer``, a quantiser of PT2E, as one that marks no node with an integer input or output."""
    from torchao.quantization.pt2e.quantizer import Quantizer

    class FloatsOnly(Quantizer):  # type: ignore[misc]
        """Removes the marks that the other quantiser sets on integers."""

        def transform_for_annotation(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            """Return what the other quantiser makes of ``model``, with integer operations as they were.

            It replaces numbers in the code, such as the 2 of ``positions + 2``, by float tensors.
            """
            arguments = {node: node.args for node in model.graph.nodes if not _is_float(node)}
            transformed: torch.fx.GraphModule = quantizer.transform_for_annotation(model)
            for node in transformed.graph.nodes:
                node.args = arguments.get(node, node.args)
            transformed.graph.eliminate_dead_code()
            transformed.recompile()
            return transformed

        def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            """Mark the nodes of ``model`` that compute with floats."""
            annotated: torch.fx.GraphModule = quantizer.annotate(model)
            for node in annotated.graph.nodes:
                if not all(map(_is_float, (node, *_arguments(node)))):
                    node.meta.pop(_ANNOTATION, None)
            return annotated

        def validate(self, model: torch.fx.GraphModule) -> None:
            """Let the other quantiser check the marks."""
            quantizer.validate(model)

    return FloatsOnly()


def _arguments(node: torch.fx.Node) -> list[torch.fx.Node]:
    """The inputs that are marked with the node, except those that a quantiser never touches, such as indices."""
    annotation = node.meta.get(_ANNOTATION)
    return list(annotation.input_qspec_map) if annotation is not None else []


def _is_float(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    # Several outputs, or no tensor at all: nothing is known, so the mark stays.
    dtype = getattr(value, "dtype", None)
    return dtype is None or dtype.is_floating_point
