"""``cluster``: the weights of each layer share k values, which are then trained with the sharing kept.

k-means over the weights of a layer, its centres spread evenly over their range at first, then the gradients of all
weights that share a value summed for it (Han, Mao and Dally 2016, arXiv:1510.00149, §3). The one decision: batch norms
are folded in first, because exporters fold them, and a scale for each channel would make many values of few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Cluster
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.steps.fuse import fold_batch_norms
from harness.variants.training import fine_tune, require_data

if TYPE_CHECKING:
    import torch
    from torch import nn

SEED = 0
# k-means sees a layer's weights on a grid this fine, which keeps its time apart from the size of the layer.
BINS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A weight that is stored once, and the names of the layers that use it."""

    names: tuple[str, ...]
    modules: tuple[nn.Module, ...]
    weight: torch.Tensor


def apply(network: torch.nn.Module, step: Cluster, context: StepContext) -> Outcome:
    """Cluster every weight with two dimensions or more, and train the shared values.

    Raises `UnfitError` when there is no such weight.
    """
    require_data(step, context)
    notes = list(_folded(network, context))
    layers = tuple(_layers(network))
    if not layers:
        msg = "cluster: the network has no linear, convolution or embedding layer whose weights could share values"
        raise UnfitError(msg)
    for layer in layers:
        _share(layer, step.clusters)
    trained = fine_tune(network, step, context)
    _settle(network)
    reports = tuple(_reports(network, layers))
    return Outcome(
        network=network,
        figures={
            Figure.DISTINCT_VALUES: max(_distinct(layer.modules[0]) for layer in layers),
            Figure.TIED_LAYERS: sum(len(layer.names) for layer in layers if len(layer.names) > 1),
        },
        layers=reports,
        training=trained.report,
        notes=(*notes, *trained.notes),
    )


def _folded(network: torch.nn.Module, context: StepContext) -> Iterator[str]:
    """Fold batch norms, and say how many; a network that cannot be captured is clustered as it is."""
    try:
        count = sum(fold.reason is None for fold in fold_batch_norms(network, context.example()))
    except UnfitError as error:
        yield f"batch norms stay apart, and an exporter that folds them makes more values: {error}"
        return
    if count:
        yield f"{count} batch norms were folded first, as exporters would fold them and make more values of the shared"


def _layers(network: torch.nn.Module) -> Iterator[_Layer]:
    """Find the weights to cluster; layers with one parameter, or with equal weights, are one."""
    from torch import nn

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    equal: dict[tuple[object, ...], list[tuple[str, nn.Module]]] = defaultdict(list)
    for name, module in network.named_modules():
        if isinstance(module, (*kinds, *transposed)):
            weight = module.weight.detach()
            equal[(tuple(weight.shape), weight.float().numpy().tobytes())].append((name, module))
    for group in equal.values():
        modules = tuple(module for _, module in group)
        yield _Layer(names=tuple(name for name, _ in group), modules=modules, weight=_weight(modules[0]))


def _weight(module: nn.Module) -> torch.Tensor:
    import torch

    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def _share(layer: _Layer, clusters: int) -> None:
    """Replace the weight of ``layer`` by values and, for each place, which value stands there."""
    from torch.nn.utils import parametrize

    shared = _sharing(layer.weight, clusters)
    first = layer.modules[0]
    parametrize.register_parametrization(first, "weight", shared, unsafe=True)
    for other in layer.modules[1:]:
        parametrize.register_parametrization(other, "weight", shared, unsafe=True)
        # One parameter under several names is trained once.
        other.parametrizations.weight.original = first.parametrizations.weight.original  # type: ignore[union-attr]


def _sharing(weight: torch.Tensor, clusters: int) -> Any:
    """Return the parametrisation that keeps ``weight`` at ``clusters`` values at most, zeros staying zero."""
    import torch
    from torch import nn

    flat = weight.flatten()
    # Zeros that an earlier step made are one of the values, and are not trained.
    zero = flat == 0
    kept = int(bool(zero.any()))
    centres, labels = k_means(flat[~zero], clusters - kept)
    places = torch.zeros(len(flat), dtype=torch.long)
    places[~zero] = labels + kept

    class Shared(nn.Module):
        """Values, shape (k,), to a weight in which each place has one of them."""

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            """Return the weight."""
            if kept:
                values = torch.cat([values.new_zeros(1), values])
            return values[places].reshape(weight.shape)

        def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
            """Return the values that the weight begins with."""
            return centres.to(weight.dtype)

    return Shared()


def k_means(values: torch.Tensor, clusters: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the centres, shape (k,), and the centre of each of ``values``; fewer distinct values keep themselves."""
    import torch

    distinct, places = torch.unique(values.double(), return_inverse=True)
    if len(distinct) <= clusters:
        return distinct, places
    centres = _centres(values.double(), clusters)
    labels = torch.bucketize(values.double(), (centres[1:] + centres[:-1]) / 2)
    # The means once more, added in order, so that the number of threads of k-means leaves no trace in them.
    sums = torch.zeros(clusters, dtype=torch.float64).index_add_(0, labels, values.double())
    sizes = torch.bincount(labels, minlength=clusters)
    used = sizes.nonzero().flatten()
    renamed = torch.zeros(clusters, dtype=torch.long)
    renamed[used] = torch.arange(len(used))
    return sums[used] / sizes[used], renamed[labels]


def _centres(values: torch.Tensor, clusters: int) -> torch.Tensor:
    """Return the centres that k-means finds, from the least up. Values that are close are taken for one."""
    import numpy as np
    import torch
    from sklearn.cluster import KMeans

    low, high = float(values.min()), float(values.max())
    bins = ((values - low) / (high - low) * (BINS - 1)).round().long()
    counts = torch.bincount(bins, minlength=BINS)
    used = counts.nonzero().flatten()
    points = low + used.double() / (BINS - 1) * (high - low)
    start = np.linspace(low, high, clusters)[:, None]
    means = KMeans(n_clusters=clusters, init=start, n_init=1, random_state=SEED)
    means.fit(points.numpy()[:, None], sample_weight=counts[used].numpy())
    return torch.from_numpy(np.sort(means.cluster_centers_[:, 0]))


def _settle(network: torch.nn.Module) -> None:
    """Make plain weights of the values, one parameter for layers that share it."""
    from torch import nn
    from torch.nn.utils import parametrize

    shared = [module for module in network.modules() if parametrize.is_parametrized(module, "weight")]
    kept: dict[int, nn.Parameter] = {}
    made = [
        kept.setdefault(id(module.parametrizations.weight.original), nn.Parameter(_weight(module).clone()))  # type: ignore[union-attr]
        for module in shared
    ]
    for module, weight in zip(shared, made, strict=True):
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        module.weight = weight


def _reports(network: torch.nn.Module, layers: tuple[_Layer, ...]) -> Iterator[LayerReport]:
    for layer in layers:
        yield LayerReport(layer=layer.names[0], outcome=f"{_distinct(layer.modules[0])} values")
        for name in layer.names[1:]:
            yield LayerReport(layer=name, outcome=f"one with {layer.names[0]}, stored once")
    known = {name for layer in layers for name in layer.names}
    for name, parameter in network.named_parameters():
        owner = name.rpartition(".")[0]
        if parameter.dim() > 1 and owner not in known:
            yield LayerReport(layer=name, outcome="left alone: it is no linear, convolution or embedding weight")


def _distinct(module: nn.Module) -> int:
    return len(_weight(module).unique())
