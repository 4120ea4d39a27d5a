"""Layers end with at most the requested number of values, trained and shared, and the file compresses well."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from harness.artifacts.export.exporter import FloatModel
from harness.artifacts.export.onnx import OnnxExporter
from harness.artifacts.sources.prepare_model import weights_sha256
from harness.artifacts.workers.describe import deflated_size
from harness.errors import BuildError
from harness.records.steps import Figure
from harness.spec.recipe import Cluster, FineTune, Recipe
from harness.spec.shorthand import parse_recipe
from harness.variants.make import Variant, make_variant
from harness.variants.step import StepContext, UnfitError
from harness.variants.steps import cluster
from tests.variants.floats import accuracy, context_for, digits_context

# torch's exporter emits warnings about its own internals.
pytestmark = pytest.mark.filterwarnings("ignore")


def clustered(network: nn.Module, shape: tuple[int, ...], clusters: int = 4) -> Variant:
    """``network`` with its weights clustered, without retraining."""
    return make_variant([Cluster(clusters=clusters, fine_tune=False)], context_for(network, shape))


def distinct(network: nn.Module) -> int:
    """The largest number of values in any weight of two dimensions or more."""
    return max(len(p.unique()) for p in network.parameters() if p.dim() > 1)


def exported(network: nn.Module, context: StepContext, path: Path) -> Path:
    """``network`` as a float ``.onnx``."""
    inputs = context.calibration.inputs
    source = FloatModel(network=network, inputs=context.inputs, calibration=lambda _: inputs, scripted=False)
    OnnxExporter(source).export(Recipe(name="fp32"), None, path)
    return path


@pytest.mark.parametrize("clusters", [2, 5, 16])
def test_every_weight_has_as_many_values_as_asked_and_is_near_what_it_was(clusters: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 8, 3), nn.Flatten(), nn.Linear(512, 10))
    made = clustered(network, (1, 3, 8, 8), clusters)
    assert distinct(made.network) == clusters
    assert made.reports[0].figures[Figure.DISTINCT_VALUES] == clusters
    assert [layer.outcome for layer in made.reports[0].layers] == [f"{clusters} values"] * 3
    for name, before in network.named_parameters():
        after = made.network.get_parameter(name)
        # No weight is further from its value than with evenly spread centres.
        assert (before - after).abs().max() <= (before.max() - before.min()) / (clusters - 1)


def test_weights_in_clear_groups_are_found_exactly() -> None:
    layer = nn.Linear(64, 64)
    centres = torch.tensor([-3.0, 0.1, 0.2, 5.0])
    places = torch.randint(4, (64, 64), generator=torch.Generator().manual_seed(0))
    layer.weight.data = centres[places] + torch.randn(64, 64) * 1e-3
    made = clustered(nn.Sequential(layer), (1, 64))
    assert torch.allclose(made.network[0].weight, centres[places], atol=1e-3)  # type: ignore[index]


def test_a_layer_with_few_values_keeps_them() -> None:
    layer = nn.Linear(8, 8)
    layer.weight.data = torch.tensor([0.5, -0.25]).repeat(32).reshape(8, 8)
    made = clustered(nn.Sequential(layer), (1, 8), 16)
    assert torch.equal(made.network[0].weight, layer.weight)  # type: ignore[index]
    assert made.reports[0].figures[Figure.DISTINCT_VALUES] == 2


def test_zeros_of_an_earlier_step_stay_zero_while_training() -> None:
    context = digits_context()
    torch.manual_seed(0)
    for parameter in context.original.parameters():
        if parameter.dim() > 1:
            parameter.data[torch.rand_like(parameter) < 0.7] = 0
    made = make_variant([Cluster(fine_tune=FineTune(epochs=1))], context)
    weights = {name: p for name, p in context.original.named_parameters() if p.dim() > 1}
    assert weights
    assert all(torch.equal(p == 0, made.network.get_parameter(name) == 0) for name, p in weights.items())
    assert distinct(made.network) <= 16


class Tied(nn.Module):
    """Two layers that share one weight, one with an equal weight, and one with another weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.same, self.equal, self.own = (nn.Linear(64, 64) for _ in range(4))
        self.same.weight = self.one.weight
        self.equal.weight.data = self.one.weight.data.clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.own(self.equal(self.same(self.one(x))))
        return y


def test_tied_layers_are_found_and_stored_once(tmp_path: Path) -> None:
    made = clustered(Tied(), (1, 64))
    report, network = made.reports[0], made.network
    assert isinstance(network, Tied)
    assert network.one.weight is network.same.weight
    assert network.one.weight is network.equal.weight
    assert network.own.weight is not network.one.weight
    assert report.figures[Figure.TIED_LAYERS] == 3
    assert report.parameters_before - report.parameters_after == 64 * 64
    assert [layer.outcome for layer in report.layers] == ["4 values", *["shares its weight with one"] * 2, "4 values"]
    path = exported(network, context_for(Tied(), (1, 64)), tmp_path / "tied.onnx")
    assert path.stat().st_size < 3 * 64 * 64 * 4


def test_weights_that_are_no_layer_are_left_alone_with_a_reason() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 16, batch_first=True)
    report = clustered(layer, (1, 5, 16)).reports[0]
    outcomes = {layer.layer: layer.outcome for layer in report.layers}
    assert outcomes["linear1"] == "4 values"
    assert outcomes["self_attn.in_proj_weight"].startswith("left alone")


def test_a_network_without_weights_to_share_is_unfit() -> None:
    with pytest.raises(UnfitError, match="no linear, convolution or embedding layer"):
        clustered(nn.Sequential(nn.ReLU()), (1, 4))


def test_without_training_data_it_is_refused_unless_told_not_to_train() -> None:
    context = context_for(nn.Sequential(nn.Linear(16, 16)), (1, 16))
    with pytest.raises(BuildError, match=r"no train split.*fine_tune = false"):
        make_variant([Cluster()], context)


def test_it_is_refused_before_the_long_work() -> None:
    layer = nn.Linear(16, 16)
    before = layer.weight.clone()
    with pytest.raises(BuildError):
        cluster.apply(layer, Cluster(), context_for(layer, (1, 16)))
    assert torch.equal(layer.weight, before)


def test_values_of_a_large_layer_take_no_longer_than_a_grid_of_them() -> None:
    weight = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    centres, places = cluster.k_means(weight, 64)
    assert len(centres) == 64
    # With 64 evenly spread values, the step is a 64th of the range; k-means is finer.
    assert float((centres[places] - weight).square().mean()) < 0.3 * float(((weight.max() - weight.min()) / 64) ** 2)


@pytest.fixture(scope="module")
def trained() -> Variant:
    """Digits with sixteen values per layer, retrained."""
    return make_variant(parse_recipe("cluster16").steps, digits_context())


def test_digits_with_sixteen_values_a_layer_stay_good(trained: Variant) -> None:
    report = trained.reports[0]
    assert distinct(trained.network) == 16
    assert report.figures == {Figure.DISTINCT_VALUES: 16, Figure.TIED_LAYERS: 0}
    assert report.training is not None
    assert report.training.epochs > 0
    assert accuracy(trained.network) >= 0.985


def test_the_shared_values_are_trained(trained: Variant) -> None:
    untrained = make_variant([Cluster(fine_tune=False)], digits_context()).network
    assert accuracy(untrained) < accuracy(trained.network)
    for name, before in untrained.named_parameters():
        assert not torch.equal(before, trained.network.get_parameter(name))


def test_sixteen_values_a_layer_deflate_to_well_under_half(trained: Variant, tmp_path: Path) -> None:
    context = digits_context()
    plain = exported(context.original, context, tmp_path / "fp32.onnx")
    shared = exported(trained.network, context, tmp_path / "cluster16.onnx")
    assert deflated_size(shared) < 0.4 * deflated_size(plain)


def test_clustered_digits_are_the_same_bit_for_bit_the_second_time() -> None:
    step = Cluster(fine_tune=FineTune(epochs=1))
    first, second = (make_variant([step], digits_context()) for _ in range(2))
    assert weights_sha256(first.network) == weights_sha256(second.network)
