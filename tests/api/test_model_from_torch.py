"""A module in memory becomes a model folder, which the rest of phonebench reads like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from harness import Model
from harness.errors import BuildError, UsageError
from harness.model.card import ModelOptions, Task
from harness.model.data import load_split
from harness.model.network import input_specs, load_network
from harness.model.resolve import resolve
from harness.model.splits import Split
from tests.conftest import call_python


class TinyNet(nn.Module):
    """A layer, dropout and batch norm, so that the mode matters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


class TwoInputs(nn.Module):
    """Two named inputs."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left + 2 * right


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def net() -> TinyNet:
    torch.manual_seed(0)
    return TinyNet()


X = torch.ones(1, 4)


def test_the_folder_is_a_model_with_the_outputs_of_the_module(home: Path) -> None:
    module = net()
    model = Model.from_torch(module, X)
    assert home in model.folder.parents
    card = resolve(str(model.folder), ModelOptions())
    assert (card.name, card.task) == ("tiny_net", Task.OTHER)
    network = load_network(card)
    assert [(tuple(spec.shape), spec.dtype.value) for spec in input_specs(card, network)] == [((1, 4), "float32")]
    inputs = torch.randn(1, 4)
    with torch.no_grad():
        (answer,) = network(inputs) if isinstance(network(inputs), tuple) else (network(inputs),)
        assert torch.equal(answer, module.eval()(inputs))


def test_the_module_stays_as_it_was() -> None:
    module = net().train()
    module.layers[3].eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    Model.from_torch(module, X)
    assert module.training
    assert not module.layers[3].training
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_an_unchanged_module_is_the_same_model_and_is_not_written_again() -> None:
    first = Model.from_torch(net(), X)
    written = (first.folder / "network.pt2").stat().st_mtime_ns
    assert Model.from_torch(net(), X).folder == first.folder
    assert (first.folder / "network.pt2").stat().st_mtime_ns == written


def test_other_weights_code_data_or_names_are_other_models() -> None:
    other = net()
    with torch.no_grad():
        next(other.parameters())[0, 0] += 1e-6
    labels = np.arange(30) % 3
    made = [
        Model.from_torch(net(), X),
        Model.from_torch(other, X),
        Model.from_torch(nn.Sequential(net(), nn.ReLU()), X, name="tiny_net"),
        Model.from_torch(net(), X, (np.ones((30, 4)), labels)),
        Model.from_torch(net(), X, (np.ones((30, 4)), labels[::-1].copy())),
        Model.from_torch(net(), X, name="other"),
    ]
    assert len({model.folder for model in made}) == len(made)


def test_labelled_data_is_divided_into_calibration_and_test() -> None:
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    card = resolve(str(Model.from_torch(net(), X, (inputs, labels)).folder), ModelOptions())
    assert card.task is Task.CLASSIFICATION
    described = with_inputs(card)
    splits = [load_split(described, split) for split in (Split.CALIBRATION, Split.TEST)]
    assert sum(split.count for split in splits if split) == 50
    rows = {tuple(row): label for row, label in zip(inputs.astype(np.float32).tolist(), labels, strict=True)}
    for split in splits:
        assert split is not None
        assert split.single_labels is not None
        for row, label in zip(split.inputs[0].reshape(-1, 4).tolist(), split.single_labels, strict=True):
            assert rows[tuple(row)] == label


def with_inputs(card: Any) -> Any:
    return replace(card, inputs=input_specs(card, load_network(card)))


def test_named_splits_and_several_inputs() -> None:
    test_rows = {"left": np.zeros((5, 1, 2)), "right": torch.ones(5, 1, 2)}
    data = {"test": test_rows, "calibration": {"left": np.full((4, 1, 2), 3.0), "right": np.full((4, 1, 2), 4.0)}}
    model = Model.from_torch(TwoInputs(), (torch.zeros(1, 2), torch.zeros(1, 2)), data)
    card = with_inputs(resolve(str(model.folder), ModelOptions()))
    assert [spec.name for spec in card.inputs] == ["left", "right"]
    test = load_split(card, Split.TEST)
    assert test is not None
    assert [float(a.mean()) for a in test.inputs] == [0.0, 1.0]


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    model = Model.from_torch(net(), X, folder=tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["model.toml", "network.pt2"]
    assert model.folder == tmp_path / "mine"


class Branches(nn.Module):
    """Decides by a value, which cannot be exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Model.from_torch(Branches(), X), BuildError, "exporting Branches"),
        (
            lambda: Model.from_torch(net(), cast("Any", [1.0])),
            UsageError,
            "inputs is float: give",
        ),
        (lambda: Model.from_torch(net(), []), UsageError, "inputs is nothing"),
        (lambda: Model.from_torch(net().double(), X.double()), BuildError, "input 0 is float64; the runners support"),
        (lambda: Model.from_torch(nn.Bilinear(4, 4, 3), (X, X + 0j)), BuildError, "input 1 is complex64"),
        (lambda: Model.from_torch(net(), X, name="a b"), UsageError, "name is 'a b'"),
        (lambda: Model.from_torch(net(), X, {"test": X, "valid": X}), UsageError, "split 'valid'"),
        (lambda: Model.from_torch(net(), X, [[1], [1, 2]]), UsageError, "rows of different lengths"),
        (lambda: Model.from_torch(net(), torch.ones(1, 5)), BuildError, "exporting TinyNet"),
    ],
)
def test_what_cannot_become_a_model_is_a_sentence(make: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_another_size_or_type_of_the_inputs_is_another_model() -> None:
    """The graph of a convolution is the same for pictures of any size."""
    network = nn.Conv2d(1, 2, 3)
    inputs = (torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 9, 9), torch.ones(1, 1, 8, 8))
    small, large, again = (Model.from_torch(network, tensor).folder for tensor in inputs)
    assert small == again
    assert small != large


@pytest.mark.parametrize(
    ("module", "inputs", "data", "words"),
    [
        (nn.Linear, torch.zeros(1, 4), None, "module is the class Linear"),
        (abs, torch.zeros(1, 4), None, "module is builtin_function_or_method"),
        (nn.Linear(4, 3), 3, None, "inputs is int"),
        (nn.Linear(4, 3), None, None, "inputs is NoneType"),
        (nn.Linear(4, 3), {"x": torch.zeros(1, 4)}, None, "inputs is dict"),
        (nn.Linear(4, 3, device="meta"), torch.zeros(1, 4), None, "on the device meta"),
        (nn.Linear(4, 3), torch.zeros(1, 4, device="meta"), None, "on the device meta"),
        (nn.Linear(4, 3), torch.eye(4).to_sparse(), None, "input 0 is sparse_coo"),
        (nn.Linear(4, 3), torch.zeros(0, 4), None, "holds no value"),
        (nn.Linear(4, 3), torch.zeros(1, 4), (np.zeros((9, 4)), np.zeros(10)), "9 rows of inputs, 10 rows of labels"),
        (nn.Linear(4, 3), torch.zeros(1, 4), np.zeros((0, 4)), "0 rows of inputs"),
        (nn.Linear(4, 3), torch.zeros(1, 4), "abc", "0 rows of inputs"),
    ],
)
def test_odd_arguments_are_refused_by_name(module: Any, inputs: Any, data: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Model.from_torch(module, inputs, data)


def test_a_module_is_exported_beside_tensorflow(tmp_path: Path) -> None:
    code = """
import sys, tensorflow, torch
from harness import Model
from tests.conftest import call_python
print(Model.from_torch(torch.nn.Linear(4, 3), torch.zeros(1, 4), folder=sys.argv[1]).folder)
"""
    done = call_python("-c", code, str(tmp_path / "net"), cwd=tmp_path)
    assert (done.code, done.out.strip()) == (0, str(tmp_path / "net")), done.err
