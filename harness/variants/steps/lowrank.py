"""``low-rank``: splits linear and convolution layers in two by singular value decomposition, then retrains.

A linear layer of weight W, shape (out, in), becomes in → r → out (Denil et al. 2013, arXiv:1306.0543). A convolution is
split by the cheaper of two schemes: the full kernel into r channels, then 1x1 (Zhang et al. 2015, arXiv:1505.06798),
or, in two dimensions, k x 1 into r channels, then 1 x k (Jaderberg et al. 2014, arXiv:1405.3866, scheme 2). A layer is
split only if that leaves fewer parameters. The report gives the rank of each, or why it was left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import LowRank
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.training import fine_tune

if TYPE_CHECKING:
    import torch
    from torch import nn

    Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


# The geometry of a convolution that does nothing in one direction.
_NEUTRAL = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}


class Scheme(StrEnum):
    """How a weight becomes a matrix, and how its two factors become layers."""

    LINEAR = "linear"
    CHANNELS = "channels"
    SPATIAL = "spatial"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    """A layer as two factors of rank ``rank`` of ``full``: ``left`` (rows, rank) times ``right`` (rank, columns)."""

    scheme: Scheme
    rank: int
    full: int
    left: torch.Tensor
    right: torch.Tensor

    @property
    def parameters(self) -> int:
        """The number of elements in both factors."""
        return self.left.numel() + self.right.numel()


def apply(network: torch.nn.Module, step: LowRank, context: StepContext) -> Outcome:
    """Split the layers that become smaller by it, and retrain. Raises `UnfitError` when no layer does."""
    layers = tuple(_split_all(network, step, context.example()))
    split = sum(layer.outcome.startswith("rank ") for layer in layers)
    if not split:
        reasons = "; ".join(f"{layer.layer}: {layer.outcome}" for layer in layers[:3])
        msg = f"low-rank changes no layer ({reasons or 'there is no linear or convolution layer'})"
        raise UnfitError(msg)
    _check_runs(network, context.example())
    trained = fine_tune(network, step, context)
    return Outcome(
        network=network,
        figures={Figure.LAYERS_SPLIT: split},
        layers=layers,
        training=trained.report,
        notes=trained.notes,
    )


def _split_all(network: torch.nn.Module, step: LowRank, example: tuple[torch.Tensor, ...]) -> Iterator[LayerReport]:
    from torch import nn

    called = _called(network, example)
    # Layers that share a weight must not be split apart, which would store it twice.
    holders = Counter(id(p) for _, p in network.named_parameters(remove_duplicate=False))
    for name, layer in list(network.named_modules()):
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            continue
        reason = _why_not(layer, called=name in called, tied=holders[id(layer.weight)] > 1)
        split = None if reason else _best(layer, step)
        if split is not None and split.parameters >= layer.weight.numel():
            reason = (
                f"rank {split.rank} of {split.full} would have {split.parameters:,} weights, "
                f"the layer has {layer.weight.numel():,}"
            )
        if split is None or reason:
            yield LayerReport(layer=name, outcome=f"left alone: {reason}")
            continue
        network.set_submodule(name, _layers(layer, split))
        yield LayerReport(layer=name, outcome=f"rank {split.rank} of {split.full}, {_shown(layer, split.scheme)}")


def _called(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> set[str]:
    """The modules that one run of the network calls. A layer of which only the weight is read cannot be split."""
    import torch

    called: set[str] = set()
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: called.add(name))
        for name, module in network.named_modules(remove_duplicate=False)
    ]
    with torch.no_grad():
        network(*example)
    for hook in hooks:
        hook.remove()
    return called


def _why_not(layer: nn.Linear | Convolution, *, called: bool, tied: bool) -> str | None:
    from torch import nn

    if type(layer) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d):
        return f"{type(layer).__name__} is not a plain layer of torch.nn"
    if not called:
        return "its weight is read without calling the layer, as in attention"
    if tied:
        return "another layer shares its weight"
    if not isinstance(layer, nn.Linear) and layer.groups > 1:
        return "depthwise" if layer.groups == layer.in_channels else "grouped"
    return None


def _best(layer: nn.Linear | Convolution, step: LowRank) -> _Split:
    """The split with the fewest parameters among the schemes that fit the layer."""
    return min((_split(layer, scheme, step) for scheme in _schemes(layer)), key=lambda split: split.parameters)


def _schemes(layer: nn.Linear | Convolution) -> tuple[Scheme, ...]:
    from torch import nn

    if isinstance(layer, nn.Linear):
        return (Scheme.LINEAR,)
    # Padding by a mode other than zeros, or by name ("same"), cannot be divided between two directions.
    apart = isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return (Scheme.CHANNELS, Scheme.SPATIAL) if apart and min(layer.kernel_size) > 1 else (Scheme.CHANNELS,)


def _split(layer: nn.Linear | Convolution, scheme: Scheme, step: LowRank) -> _Split:
    import torch

    left, values, right = torch.linalg.svd(_matrix(layer.weight.detach(), scheme), full_matrices=False)
    rank = _rank(values, step)
    # Each factor gets the square root of the singular values, so both have weights of similar size.
    root = values[:rank].sqrt()
    return _Split(
        scheme=scheme, rank=rank, full=len(values), left=left[:, :rank] * root, right=root[:, None] * right[:rank]
    )


def _matrix(weight: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """The weight as the matrix to decompose."""
    match scheme:
        case Scheme.LINEAR | Scheme.CHANNELS:
            return weight.flatten(1)
        case Scheme.SPATIAL:
            # (out, in, height, width) to rows (in, height) and columns (out, width).
            return weight.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)
        case _:
            assert_never(scheme)


def _rank(values: torch.Tensor, step: LowRank) -> int:
    """The rank that ``step`` asks for, given the singular values in descending order."""
    if step.rank is not None:
        return min(step.rank, len(values))
    if step.ratio is not None:
        return max(1, round(step.ratio * len(values)))
    energy = values.double().square().cumsum(0)
    return min(len(values), int((energy < float(step.energy or 0) * energy[-1]).sum()) + 1)


def _layers(layer: nn.Linear | Convolution, split: _Split) -> nn.Module:
    """The two layers that hold the factors of ``split``; the bias goes to the second."""
    import torch
    from torch import nn

    first, second = _shaped(layer, split)
    weights = _weights(layer, split)
    with torch.no_grad():
        for new_layer, weight in zip((first, second), weights, strict=True):
            new_layer.weight.copy_(weight)
        if layer.bias is not None:
            second.bias.copy_(layer.bias)  # type: ignore[union-attr]
    return nn.Sequential(first, second)


def _shaped(layer: nn.Linear | Convolution, split: _Split) -> tuple[nn.Linear | Convolution, nn.Linear | Convolution]:
    """The two layers, with their weights still to be set."""
    from torch import nn

    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        first = nn.Linear(layer.in_features, split.rank, bias=False)
        return first, nn.Linear(split.rank, layer.out_features, bias=bias)
    kind, inside, outside = type(layer), layer.in_channels, layer.out_channels
    if split.scheme is Scheme.CHANNELS:
        kept = {name: getattr(layer, name) for name in (*_NEUTRAL, "padding_mode")}
        return kind(inside, split.rank, bias=False, **kept), kind(split.rank, outside, 1, bias=bias)
    down, across = _direction(layer, 0), _direction(layer, 1)
    return kind(inside, split.rank, bias=False, **down), kind(split.rank, outside, bias=bias, **across)  # type: ignore[arg-type]


def _direction(layer: Convolution, axis: int) -> dict[str, tuple[int, ...]]:
    """The geometry of ``layer`` in one of its two directions, neutral in the other."""
    return {
        name: tuple(getattr(layer, name)[axis] if place == axis else neutral for place in (0, 1))
        for name, neutral in _NEUTRAL.items()
    }


def _weights(layer: nn.Linear | Convolution, split: _Split) -> tuple[torch.Tensor, torch.Tensor]:
    """The two factors in the shapes of the two layers' weights."""
    from torch import nn

    if isinstance(layer, nn.Linear):
        return split.right, split.left
    if split.scheme is Scheme.CHANNELS:
        ones = (1,) * len(layer.kernel_size)
        return split.right.unflatten(1, layer.weight.shape[1:]), split.left.reshape(*split.left.shape, *ones)
    height, width = layer.kernel_size
    down = split.left.T.reshape(split.rank, layer.in_channels, height, 1)
    across = split.right.reshape(split.rank, layer.out_channels, 1, width).transpose(0, 1)
    return down, across


def _shown(layer: nn.Linear | Convolution, scheme: Scheme) -> str:
    from torch import nn

    if isinstance(layer, nn.Linear):
        return "two linear layers"
    size = "x".join(map(str, layer.kernel_size))
    ones = "x".join("1" for _ in layer.kernel_size)
    if scheme is Scheme.CHANNELS:
        return f"{size} then {ones}"
    return f"{layer.kernel_size[0]}x1 then 1x{layer.kernel_size[-1]}"


def _check_runs(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> None:
    """Refuse a network whose forward uses an attribute that only the original layer had."""
    import torch

    try:
        with torch.no_grad():
            network(*example)
    except (AttributeError, TypeError, RuntimeError) as error:
        msg = f"low-rank: the network does not run with split layers, because its forward looks into them ({error})"
        raise UnfitError(msg) from error
