"""``cluster``: the weights of each layer share k values, which are then trained while the sharing is kept.

k-means runs over the weights of a layer, with its centres at first spread evenly over their range. In training, the
gradients of all weights that share a value are summed (Han, Mao and Dally 2016, arXiv:1510.00149, §3). Batch norms are
folded first. Exporters would fold them anyway, and their scale per channel would turn few values into many.
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
# k-means sees the weights of a layer on a grid of this many points, so its time does not depend on the layer's size.
BINS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """One stored weight, and the names of the layers that use it."""

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
    """Fold batch norms, and yield notes about it. A network that cannot be captured is clustered unfolded."""
    try:
        count = sum(fold.reason is None for fold in fold_batch_norms(network, context.example()))
    except UnfitError as error:
        yield f"batch norms are not folded, so an exporter that folds them will create more values: {error}"
        return
    if count:
        yield f"{count} batch norms were folded first, since exporters would fold them and split the shared values"


def _layers(network: torch.nn.Module) -> Iterator[_Layer]:
    """Find the weights to cluster. Layers that share a parameter, or have equal weights, count as one."""
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
    """Replace the weight of ``layer`` by its shared values and the index of the value at each position."""
    from torch.nn.utils import parametrize

    shared = _sharing(layer.weight, clusters)
    first = layer.modules[0]
    parametrize.register_parametrization(first, "weight", shared, unsafe=True)
    for other in layer.modules[1:]:
        parametrize.register_parametrization(other, "weight", shared, unsafe=True)
        # All layers must use one parameter object, or the optimizer would update each copy by itself.
        other.parametrizations.weight.original = first.parametrizations.weight.original  # type: ignore[union-attr]


def _sharing(weight: torch.Tensor, clusters: int) -> Any:
    """Return the parametrisation that keeps ``weight`` at no more than ``clusters`` values. Zeros stay zero."""
    import torch
    from torch import nn

    flat = weight.flatten()
    # Zeros from an earlier step are one of the values, and are not trained.
    zero = flat == 0
    kept = int(bool(zero.any()))
    centres, labels = k_means(flat[~zero], clusters - kept)
    places = torch.zeros(len(flat), dtype=torch.long)
    places[~zero] = labels + kept

    class Shared(nn.Module):
        """Maps values, shape (k,), to a weight in which each position has one of them."""

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            """Return the weight."""
            if kept:
                values = torch.cat([values.new_zeros(1), values])
            return values[places].reshape(weight.shape)

        def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
            """Return the initial values."""
            return centres.to(weight.dtype)

    return Shared()


def k_means(values: torch.Tensor, clusters: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the centres, shape (k,), and the index of the centre of each value. Few distinct values stay unchanged."""
    import torch

    distinct, places = torch.unique(values.double(), return_inverse=True)
    if len(distinct) <= clusters:
        return distinct, places
    centres = _centres(values.double(), clusters)
    labels = torch.bucketize(values.double(), (centres[1:] + centres[:-1]) / 2)
    # Compute the means once more, adding in a fixed order: scikit-learn's depend on its number of threads.
    sums = torch.zeros(clusters, dtype=torch.float64).index_add_(0, labels, values.double())
    sizes = torch.bincount(labels, minlength=clusters)
    used = sizes.nonzero().flatten()
    renamed = torch.zeros(clusters, dtype=torch.long)
    renamed[used] = torch.arange(len(used))
    return sums[used] / sizes[used], renamed[labels]


def _centres(values: torch.Tensor, clusters: int) -> torch.Tensor:
    """Return the centres that k-means finds, in ascending order. Values in one grid cell count as equal."""
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
    """Turn the shared values back into plain weights, with one parameter for layers that share it."""
    from torch import nn
    from torch.nn.utils import parametrize

    shared = [module for module in network.modules() if parametrize.is_parametrized(module, "weight")]
    parameters: dict[int, nn.Parameter] = {}
    weights = [
        parameters.setdefault(id(module.parametrizations.weight.original), nn.Parameter(_weight(module).clone()))  # type: ignore[union-attr]
        for module in shared
    ]
    for module, weight in zip(shared, weights, strict=True):
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        module.weight = weight


def _reports(network: torch.nn.Module, layers: tuple[_Layer, ...]) -> Iterator[LayerReport]:
    for layer in layers:
        yield LayerReport(layer=layer.names[0], outcome=f"{_distinct(layer.modules[0])} values")
        for name in layer.names[1:]:
            yield LayerReport(layer=name, outcome=f"shares its weight with {layer.names[0]}")
    clustered = {name for layer in layers for name in layer.names}
    for name, parameter in network.named_parameters():
        owner = name.rpartition(".")[0]
        if parameter.dim() > 1 and owner not in clustered:
            yield LayerReport(layer=name, outcome="left alone: not a linear, convolution or embedding weight")


def _distinct(module: nn.Module) -> int:
    return len(_weight(module).unique())
