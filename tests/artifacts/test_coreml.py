"""Core ML's quantiser applies only the rules that fit a network."""

from __future__ import annotations

import pytest

from harness.artifacts.export.coreml import can_apply

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
