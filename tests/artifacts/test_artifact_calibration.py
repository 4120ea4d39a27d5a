"""Inputs generated without data are made once, stored completely, and refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.artifacts.cache import Cache
from harness.artifacts.sources.calibration import generated_inputs
from harness.artifacts.sources.prepare_model import prepare
from harness.artifacts.sources.prepared_model import CALIBRATION_FILE
from harness.errors import UsageError
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.spec.recipe import CalibrationFrom
from harness.variants.step import UnfitError
from tests.model.folders import CARD, make_folder

OPTIONS = ModelOptions()
# On small tensors two threads spend more time waiting for each other than working.
torch.set_num_threads(1)


@pytest.mark.parametrize(("source", "count"), [(CalibrationFrom.BATCH_NORM, 32), (CalibrationFrom.RANGE, 100)])
def test_made_inputs_are_kept_and_a_damaged_file_is_made_again(
    tmp_path: Path, source: CalibrationFrom, count: int
) -> None:
    cache, card = Cache(tmp_path), resolve("digits", OPTIONS)
    facts = prepare(card, source_key(card), cache).facts
    (first,) = generated_inputs(card, facts, source, cache)
    (file,) = (tmp_path / "calibrations").rglob(CALIBRATION_FILE)
    written = file.stat().st_mtime_ns
    assert first.shape == (count, 1, 1, 8, 8)
    assert np.array_equal(first, generated_inputs(card, facts, source, cache)[0])
    assert file.stat().st_mtime_ns == written
    file.write_bytes(b"x")
    assert np.array_equal(first, generated_inputs(card, facts, source, cache)[0])


@pytest.mark.parametrize(
    ("source", "says"),
    [(CalibrationFrom.BATCH_NORM, "the network has none"), (CalibrationFrom.RANGE, "add range = .* to 'x'")],
)
def test_a_model_without_what_they_are_made_from_is_unfit(tmp_path: Path, source: CalibrationFrom, says: str) -> None:
    cache, card = Cache(tmp_path / "cache"), resolve(str(make_folder(tmp_path / "own")), OPTIONS)
    facts = prepare(card, source_key(card), cache).facts
    with pytest.raises(UnfitError, match=says):
        generated_inputs(card, facts, source, cache)


@pytest.mark.parametrize("limits", ["[1, 0]", "[0]", '"0..1"', "[0, inf]", "[true, 2]"])
def test_a_range_that_is_none_is_refused(tmp_path: Path, limits: str) -> None:
    card = CARD.replace("shape = [1, 4]", f"shape = [1, 4]\nrange = {limits}")
    with pytest.raises(UsageError, match=r"range is .* in \[\[input\]\] number 1.*two numbers, .smallest, largest"):
        resolve(str(make_folder(tmp_path, card=card)), OPTIONS)
