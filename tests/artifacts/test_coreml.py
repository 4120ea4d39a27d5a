"""Core ML's quantiser applies only the rules that fit a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from harness.artifacts.export import coreml
from harness.artifacts.export.coreml import can_apply, import_coremltools, only_activations
from harness.artifacts.export.exporter import FloatModel
from harness.spec.shorthand import parse_recipe
from harness.variants.step import UnfitError
from harness.wire import DType, TensorSpec

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

    def left(operators: str) -> list[Callable[..., torch.Tensor]]:
        with only_activations(operators):
            return [*utils._supported_activations, *utils._supported_activations_no_inplace]

    for function in utils._supported_activations:
        assert left(exported(function)) == [function]
        assert left(exported(function, inplace=True)) == [function]
    for function in utils._supported_activations_no_inplace:
        assert left(exported(function)) == [function]


@pytest.mark.filterwarnings("ignore")
def test_the_list_of_activations_is_restored_after_an_error() -> None:
    import_coremltools()
    from executorch.backends.apple.coreml.quantizer import _coreml_quantizer_utils as utils

    before = (utils._supported_activations, utils._supported_activations_no_inplace)
    shortened: list[str] = []

    def annotate() -> None:
        shortened.extend(function.__name__ for function in utils._supported_activations)
        raise UnfitError

    with pytest.raises(UnfitError), only_activations(GRAPH):
        annotate()
    assert shortened == ["relu"]
    assert (utils._supported_activations, utils._supported_activations_no_inplace) == before


class Tokens(nn.Module):
    """Computes with integers before it looks them up."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 8)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.table(torch.cat([tokens + 2, tokens], 1))).mean(1)
        return scores


@pytest.mark.filterwarnings("ignore")
def test_integers_are_not_rounded() -> None:
    tokens = np.random.default_rng(0).integers(0, 40, (4, 1, 8))
    torch.manual_seed(0)
    network = Tokens().eval()
    spec = TensorSpec(name="tokens", dtype=DType.INT64, shape=(1, 8))
    source = FloatModel(network=network, inputs=(spec,), calibration=lambda _: (tokens,), scripted=False)
    quantised = coreml.quantised(source, parse_recipe("int8"))
    with torch.no_grad():
        outputs = torch.cat([quantised(row) for row in torch.from_numpy(tokens)])
        expected = torch.cat([network(row) for row in torch.from_numpy(tokens)])
    # Scores of other tokens would be as far away as the scores are large.
    assert (outputs - expected).norm() < 0.2 * expected.norm()
