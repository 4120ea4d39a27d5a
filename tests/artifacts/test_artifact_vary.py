"""Networks made by graph steps: made once, stored, loaded unchanged, and what their artifacts are compared with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import Artifact, ArtifactState
from harness.artifacts.sources.made_variant import VariedModel, find_varied
from harness.artifacts.sources.make_variant import load_varied
from harness.artifacts.sources.prepare_model import run_float
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.model.card import ModelCard, ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build
from harness.progress import Silent
from harness.records.steps import Figure
from harness.spec.shorthand import parse_recipe
from harness.wire import Format
from tests.artifacts.orders import order
from tests.model.folders import CARD, make_folder

pytestmark = pytest.mark.filterwarnings("ignore")

# One batch norm that is folded, and one that is not because two layers read the convolution before it.
NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.second, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        for norm in (self.first[1], self.norm):
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.weight)

    def forward(self, x):
        y = self.second(self.first(x))
        return (self.norm(y) + y).mean((2, 3))

def build():
    return Net()
"""
IMAGE = '[[input]]\nname = "x"\ndtype = "float32"\nshape = [1, 3, 8, 8]\n'


def folder_card(folder: Path, network: str = NETWORK) -> ModelCard:
    """The card of a model folder with this network, which takes an image."""
    card = CARD.partition("[[input]]")[0] + IMAGE
    return resolve(str(make_folder(folder / "own", card=card, network=network)), ModelOptions())


def build(card: ModelCard, cache: Path, *variants: str, format_: Format = Format.PTL) -> BuildOutcome:
    builds = [Build(model=card.name, variant=name, format=format_, backend=None) for name in variants]
    return build_artifacts(order([card], builds), Cache(cache), Silent())


def artifacts(outcome: BuildOutcome) -> list[Artifact]:
    return list(outcome.artifacts.values())


def made(outcome: BuildOutcome, cache: Path, variant: str) -> tuple[PreparedModel, VariedModel]:
    (model,) = outcome.models.values()
    varied = find_varied(Cache(cache), model, parse_recipe(variant))
    assert varied is not None
    return model, varied


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The folder's network with its batch norm folded, built in a separate cache."""

    card: ModelCard
    cache: Path
    outcome: BuildOutcome


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Folded:
    folder = tmp_path_factory.mktemp("folded")
    card, cache = folder_card(folder), folder / "cache"
    return Folded(card=card, cache=cache, outcome=build(card, cache, "fuse"))


def test_a_folded_network_is_kept_and_computes_the_same(folded: Folded) -> None:
    card, cache, outcome = folded.card, folded.cache, folded.outcome
    (artifact,) = artifacts(outcome)
    (report,) = artifact.manifest.steps
    assert (artifact.manifest.state, report.figures[Figure.FOLDED]) == (ArtifactState.READY, 1)
    assert report.parameters_after == report.parameters_before - 8
    model, varied = made(outcome, cache, "fuse")
    network = load_varied(card, varied)
    assert isinstance(network.get_submodule("first.1"), torch.nn.Identity)
    assert np.array_equal(run_float(network, model.test_inputs())[0], varied.reference(model.facts.test_count)[0])
    assert min(artifact.manifest.sqnr_db or 0, artifact.manifest.own_sqnr_db or 0) > 90


def test_the_same_steps_give_the_same_weights_in_another_cache(folded: Folded, tmp_path: Path) -> None:
    again = made(build(folded.card, tmp_path, "fuse"), tmp_path, "fuse")[1]
    assert again.facts.weights_sha256 == made(folded.outcome, folded.cache, "fuse")[1].facts.weights_sha256


def test_a_network_serves_all_its_precisions_and_is_made_once(folded: Folded, tmp_path: Path) -> None:
    card, cache = folded.card, Path(shutil.copytree(folded.cache, tmp_path / "cache"))
    first = build(card, cache, "fuse")
    assert first.built == 0
    stamp = made(first, cache, "fuse")[1].network_path.stat().st_mtime_ns
    outcome = build(card, cache, "fuse", "fuse+fp16", "fp32")
    assert {a.manifest.state for a in artifacts(outcome)} == {ArtifactState.READY}
    assert outcome.built == 2
    assert made(outcome, cache, "fuse")[1].network_path.stat().st_mtime_ns == stamp
    assert [len(a.manifest.steps) for a in artifacts(outcome)] == [1, 1, 0]


def test_a_network_serves_other_copies_of_its_model(folded: Folded, tmp_path: Path) -> None:
    cache = Path(shutil.copytree(folded.cache, tmp_path / "cache"))
    stamp = made(folded.outcome, cache, "fuse")[1].network_path.stat().st_mtime_ns
    assert folded.card.folder is not None
    shutil.copytree(folded.card.folder, tmp_path / "checkout" / "own")
    copy = resolve(str(tmp_path / "checkout" / "own"), ModelOptions())
    outcome = build(copy, cache, "fuse", "fuse+fp16")
    assert [a.manifest.state for a in artifacts(outcome)] == [ArtifactState.READY] * 2
    assert outcome.built == 1
    assert made(outcome, cache, "fuse")[1].network_path.stat().st_mtime_ns == stamp


def test_a_compressed_size_is_told_beside_the_size(tmp_path: Path) -> None:
    zeros = NETWORK.replace("nn.Conv2d(4, 4, 1)", "nn.Conv2d(4, 4, 1)").replace(
        "def build():\n    return Net()",
        "def build():\n    net = Net()\n    net.wide = nn.Linear(100, 100)\n"
        "    nn.init.zeros_(net.wide.weight)\n    return net",
    )
    zeros = zeros.replace("return (self.norm(y) + y).mean((2, 3))", "return self.wide(y.mean((2, 3)).repeat(1, 25))")
    (artifact,) = artifacts(build(folder_card(tmp_path, zeros), tmp_path / "cache", "fp32"))
    assert artifact.manifest.compressed_bytes is not None
    assert artifact.manifest.compressed_bytes < 0.3 * (artifact.manifest.bytes or 0)


def test_a_torchscript_file_takes_no_steps_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.jit.trace(torch.nn.Linear(4, 3), torch.zeros(1, 4)).save(str(path))
    card = resolve(str(path), ModelOptions(inputs=("x:float32:1x4",)))
    outcome = build(card, tmp_path / "cache", "fuse", "fp32")
    assert [a.manifest.state for a in artifacts(outcome)] == [ArtifactState.UNSUPPORTED, ArtifactState.READY]
    assert "graph steps cannot change a TorchScript file" in (artifacts(outcome)[0].manifest.reason or "")
    assert build(card, tmp_path / "cache", "fuse", "fp32").built == 0


def test_steps_that_fail_cost_their_own_artifacts_and_name_the_log(tmp_path: Path) -> None:
    card = folder_card(tmp_path)
    outcome = build(card, tmp_path / "cache", "sparse50", "fp32")
    failed, fine = artifacts(outcome)
    assert (failed.manifest.state, fine.manifest.state) == (ArtifactState.FAILED, ArtifactState.READY)
    assert "fine_tune = false" in (failed.manifest.reason or "")
    assert failed.manifest.log is not None
    assert Path(failed.manifest.log).is_file()
