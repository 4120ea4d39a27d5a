"""Core ML's quantiser applies only the rules that fit a network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.artifacts.export.coreml import can_apply, import_coremltools

GRAPH = "aten.conv2d.default aten.relu.default aten.linear.default"


@pytest.mark.parametrize(
    ("rule", "operators", "applies"),
    [
        ("conv_act", GRAPH, True),
        ("linear", GRAPH, True),
        ("conv_bn_act", GRAPH, False),
        ("conv_bn_act", f"{GRAPH} aten.batch_norm.default", True),
        ("add_act", GRAPH, False),
        ("add", f"{GRAPH} aten.add_.Tensor", True),
        ("matmul", GRAPH, False),
        ("max_pool2d", GRAPH, True),
    ],
)
def test_a_rule_applies_where_its_operators_are(rule: str, operators: str, applies: bool) -> None:
    assert can_apply(rule, operators) is applies


@pytest.mark.filterwarnings("ignore")
def test_an_exported_activation_has_the_name_of_its_function() -> None:
    """Only the activations that a graph's operators name are looked for."""
    import_coremltools()
    from executorch.backends.apple.coreml.quantizer import _coreml_quantizer_utils as utils

    def exported(function: Callable[..., torch.Tensor], **options: bool) -> str:
        class Network(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return function(x + 1, **options)

        graph = torch.export.export(Network(), (torch.ones(2, 2),)).graph
        return " ".join(str(node.target) for node in graph.nodes)

    for function in utils._supported_activations:
        assert function.__name__ in exported(function)
        assert function.__name__ in exported(function, inplace=True)
    for function in utils._supported_activations_no_inplace:
        assert function.__name__ in exported(function)
