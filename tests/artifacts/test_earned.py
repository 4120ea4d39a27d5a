"""A file has the precision of its name, or says how much of it; tied weights are in it once, or it says twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.workers.earned import earned, precision_share, traced
from harness.records.artifact import FileTypes
from harness.records.conditions import ConditionId
from harness.spec.shorthand import parse_recipe
from tests.artifacts.builders import FACTS, make_manifest


def quantised(variant: str, weights: dict[str, int], *, size: int = 1_000, parameters: int = 10_000) -> Manifest:
    return make_manifest(
        variant=variant,
        recipe=parse_recipe(variant),
        types=FileTypes(weights=weights),
        bytes=size,
        parameters=parameters,
    )


@pytest.mark.parametrize(
    ("variant", "weights", "share"),
    [
        ("int8", {"int8": 900, "float32": 100, "int32": 50, "int64": 7}, 0.9),
        ("int8", {"uint8": 300, "float32": 100}, 0.75),
        ("int8-dynamic", {"float32": 100}, 0.0),
        ("int4-weight", {"uint8": 150, "float32": 100}, 0.75),
        ("int4-weight", {"int4": 100, "float32": 100}, 0.5),
        ("fp16", {"float16": 30, "float32": 70}, 0.3),
        ("fp32", {"float32": 70}, None),
        ("int8", {}, None),
    ],
)
def test_the_share_is_counted_in_the_file(variant: str, weights: dict[str, int], share: float | None) -> None:
    assert precision_share(quantised(variant, weights)) == (None if share is None else pytest.approx(share))


@pytest.mark.parametrize(
    ("weights", "size", "state", "conditions"),
    [
        ({"int8": 10, "float32": 9_990}, 39_000, ArtifactState.UNSUPPORTED, []),
        ({"int8": 200, "float32": 9_800}, 41_000, ArtifactState.READY, [ConditionId.PARTLY_QUANTISED]),
        ({"int8": 3_000, "float32": 7_000}, 57_000, ArtifactState.UNSUPPORTED, []),
        ({"int8": 3_000, "float32": 7_000}, 33_000, ArtifactState.READY, [ConditionId.PARTLY_QUANTISED]),
        ({"int8": 9_500, "float32": 500}, 14_000, ArtifactState.READY, []),
        ({"int8": 9_500, "float32": 500}, 57_000, ArtifactState.READY, [ConditionId.LARGER]),
    ],
)
def test_a_name_that_is_not_earned_is_refused_or_explained(
    weights: dict[str, int], size: int, state: ArtifactState, conditions: list[ConditionId]
) -> None:
    seen = earned(quantised("int8", weights, size=size), FACTS)
    assert seen.state is state
    assert [c.id for c in seen.conditions] == conditions
    assert (seen.reason is None) is (state is ArtifactState.READY)


def test_the_reason_has_the_share_and_the_sizes() -> None:
    seen = earned(quantised("int8", {"int8": 10, "float32": 9_990}, size=57_000), FACTS)
    assert "only under 1 % of the weights in the file are in eight-bit integers" in (seen.reason or "")
    assert "the file (57.0 kB) is larger than the network's weights in float32 (40.0 kB)" in (seen.reason or "")


def test_what_is_around_the_weights_of_a_tiny_network_is_not_counted() -> None:
    tiny = quantised("int8", {"int8": 300, "float32": 100}, size=9_000, parameters=400)
    assert (earned(tiny, FACTS).state, earned(tiny, FACTS).conditions) == (ArtifactState.READY, ())


def test_half_floats_that_cover_a_part_only_are_a_condition_and_no_refusal() -> None:
    (condition,) = earned(quantised("fp16", {"float32": 10_000}), FACTS).conditions
    assert condition.summary == "0 % of the weights are in float16, the others in float"


def test_kept_layers_explain_themselves() -> None:
    mixed = replace(quantised("int8", {"int8": 5_000, "float32": 5_000}), kept_float=("head",))
    assert earned(mixed, FACTS).conditions == ()


@pytest.mark.parametrize(("stored", "twice"), [(13_000, True), (10_500, False)])
def test_a_tied_weight_that_is_stored_twice_is_named(stored: int, twice: bool) -> None:
    model = replace(FACTS, tied={"tok.weight = head.weight": 3_000})
    seen = earned(quantised("fp32", {"float32": stored}), model)
    assert [c.id for c in seen.conditions] == [ConditionId.STORED_TWICE] * twice
    assert all("tok.weight = head.weight" in c.summary for c in seen.conditions)


def test_a_traced_file_says_why() -> None:
    branching = replace(FACTS, branches=("forward (Net), network.py, line 9",))
    assert traced(FACTS, None) == ()
    (condition,) = traced(branching, "ValueError: no way")
    assert condition.id is ConditionId.TRACED
    assert "torch.export could not capture it (ValueError: no way) and it decides by a value" in condition.summary
    assert "network.py, line 9" in condition.summary
