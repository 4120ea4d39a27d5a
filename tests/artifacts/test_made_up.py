"""A ready-made file that fails on made-up inputs may only need other values, so it is not called broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.artifacts.manifest import ArtifactState
from harness.artifacts.verify.made_up import other_values
from harness.artifacts.workers.describe import crashing
from harness.wire import DType, TensorSpec
from tests.artifacts.builders import make_manifest, make_prepared

ROWS = np.zeros((2, 3), np.float32)


def test_the_integers_are_asked_for_first(tmp_path: Path) -> None:
    facts = make_prepared(tmp_path, ROWS).facts
    assert other_values(facts, "it failed").endswith("--input x:float32:1x3:LOW..HIGH")
    ids = TensorSpec(name="ids", dtype=DType.INT64, shape=())
    reason = other_values(replace(facts, inputs=(*facts.inputs, ids)), "it failed")
    assert reason.endswith("the range of its values: --input ids:int64:scalar:LOW..HIGH")


def test_a_crash_on_made_up_inputs_asks_for_values_and_one_on_data_is_the_files(tmp_path: Path) -> None:
    for made_up, recipe, state in (
        (True, None, ArtifactState.UNSUPPORTED),
        (False, None, ArtifactState.BROKEN),
        (True, make_manifest().recipe, ArtifactState.BROKEN),
    ):
        model = make_prepared(tmp_path / f"{made_up}{recipe is None}", ROWS, random_inputs=made_up)
        manifest = crashing(make_manifest(recipe=recipe), model)
        assert manifest.state is state
        assert "crashed while it ran the file" in (manifest.reason or "")
