"""States that the caller keeps: zeros at first, then what the float network passes on, for every file the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import BuildError, UsageError
from harness.model.card import ModelCard, ModelOptions, StateLink
from harness.model.data import Split
from harness.model.part_data import load_data
from harness.model.resolve import resolve
from tests.model.folders import make_folder

CARD = """\
[model]
name = "recurrent"
task = "regression"
source = "network:build"

[[input]]
name = "x"
dtype = "float32"
shape = [1, 4]

[[input]]
name = "h_in"
dtype = "float32"
shape = [1, 3]

[data]
source = "data:load"

[state]
h_in = "h_out"
"""

NETWORK = """\
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(4, 3), nn.Linear(3, 2)

    def forward(self, x, h_in):
        h = self.cell(x, h_in)
        return {"y": self.head(h), "h_out": h}


class InATuple(Recurrent):
    def forward(self, x, h_in):
        out = super().forward(x, h_in)
        return out["y"], out["h_out"]


def build():
    torch.manual_seed(0)
    return Recurrent()


def build_tuple():
    torch.manual_seed(0)
    return InATuple()
"""

DATA = """\
import numpy as np


def load(split):
    rng = np.random.default_rng({"calibration": 1, "test": 2, "train": 3}[split])
    return rng.standard_normal((10, 1, 4), dtype=np.float32), None
"""


def card_of(folder: Path, card: str = CARD, data: str = DATA) -> ModelCard:
    return resolve(str(make_folder(folder / "model", card=card, network=NETWORK, data=data)), ModelOptions())


def unrolled(xs: np.ndarray) -> list[np.ndarray]:
    """The states before each call, computed by PyTorch's own cell."""
    torch.manual_seed(0)
    cell, state = torch.nn.GRUCell(4, 3), torch.zeros(1, 3)
    states = []
    with torch.no_grad():
        for x in xs:
            states.append(state.numpy())
            state = cell(torch.from_numpy(x), state)
    return states


@pytest.mark.parametrize(("source", "output"), [("build", "h_out"), ("build_tuple", "output_1")])
def test_states_run_through_the_inputs_in_order(tmp_path: Path, source: str, output: str) -> None:
    card = card_of(tmp_path, CARD.replace("network:build", f"network:{source}").replace('"h_out"', f'"{output}"'))
    assert card.state == (StateLink(input="h_in", output=output),)
    for split in (Split.TEST, Split.CALIBRATION):
        data = load_data(card, split)
        assert data is not None
        xs, states = data.inputs
        assert states.shape == (10, 1, 3)
        np.testing.assert_allclose(states, unrolled(xs), rtol=1e-6)


def test_states_that_the_data_give_stay(tmp_path: Path) -> None:
    both = DATA.replace("return rng", "return (rng").replace(
        "np.float32), None", "np.float32), np.ones((10, 1, 3), np.float32)), None"
    )
    data = load_data(card_of(tmp_path, data=both), Split.TEST)
    assert data is not None
    assert (data.inputs[1] == 1).all()


def test_an_npz_needs_no_states(tmp_path: Path) -> None:
    xs = np.random.default_rng(0).standard_normal((20, 1, 4)).astype(np.float32)
    (tmp_path / "model").mkdir()
    np.savez(tmp_path / "model" / "data.npz", test_inputs=xs, calibration_inputs=xs[:5] + 1)
    data = load_data(card_of(tmp_path, CARD.replace("data:load", "data.npz")), Split.TEST)
    assert data is not None
    np.testing.assert_allclose(data.inputs[1], unrolled(xs), rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ('h_in = "h_out"', 'h = "h_out"', UsageError, "unknown key 'h' in [state]"),
        ('h_in = "h_out"', "h_in = 1", UsageError, 'such as h_in = "h_out"'),
        ('h_in = "h_out"', 'h_in = "h_out"\nx = "h_out"', UsageError, "has the output 'h_out' twice"),
        ('h_in = "h_out"', 'h_in = "h_out"\nx = "y"', UsageError, "at least one must take data"),
        ('h_in = "h_out"', 'h_in = "state"', BuildError, "which the network does not have; it has y, h_out"),
        ('h_in = "h_out"', 'h_in = "y"', BuildError, "(float32 [1, 2]) on to 'h_in' (float32 [1, 3])"),
    ],
)
def test_a_wrong_state_is_a_sentence(tmp_path: Path, old: str, new: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refusal:
        load_data(card_of(tmp_path, CARD.replace(old, new)), Split.TEST)
    assert words in str(refusal.value)
