"""``prune``: removes whole channels from every layer that produces or reads them, then retrains.

Channels that must stay are left alone, with the reason in the report. A cut that the network does not run with is
undone. So the result always runs, and its outputs keep their shapes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from harness.errors import BuildError, first_line, suggestion
from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Prune, Scope
from harness.variants.channels import ChannelGroup, channel_groups
from harness.variants.importance import rating
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.training import fine_tune
from harness.variants.unread import mixes_channels, why_other_outputs

if TYPE_CHECKING:
    import torch

# The channels to remove, by the first layer that produces them.
Cuts = Mapping[str, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """A network without some of its channels, in eval mode, not yet retrained."""

    network: torch.nn.Module
    figures: dict[Figure, float]
    layers: tuple[LayerReport, ...]


def apply(network: torch.nn.Module, step: Prune, context: StepContext) -> Outcome:
    """Prune and retrain."""
    pruned = prune(network, step, context)
    trained = fine_tune(pruned.network, step, context)
    return Outcome(
        network=pruned.network,
        figures=pruned.figures,
        layers=pruned.layers,
        training=trained.report,
        notes=trained.notes,
    )


def prune(network: torch.nn.Module, step: Prune, context: StepContext) -> Pruned:
    """Return ``network`` with the least important channels removed.

    Raises `UnfitError` when no channel may be removed, `BuildError` when a layer would lose all its channels or
    ``keep`` names a layer that does not exist.
    """
    _check_keep(network, step)
    groups = channel_groups(network, context.example())
    left = {group.name: why for group in groups if (why := _why_left(group, step))}
    rated, unrated = _rated([group for group in groups if group.name not in left], step, network, context)
    left |= unrated
    if not rated:
        raise _nothing(left)
    cuts = _cuts(rated, step)
    if not cuts:
        msg = f"prune: ratio {step.ratio:g} removes nothing in multiples of {step.round_to}; raise it or lower round_to"
        raise UnfitError(msg)
    network.zero_grad()
    pruned, failed = _cut_what_runs(network, cuts, groups, context)
    if failed.keys() == cuts.keys():
        raise _nothing(left | failed)
    return _pruned(pruned, groups, cuts, left | failed)


def _nothing(left: Mapping[str, str]) -> UnfitError:
    """Return the reason why nothing can be pruned: each reason once, with the layers that it holds for."""
    layers: dict[str, list[str]] = {}
    for name, why in left.items():
        layers.setdefault(why, []).append(name)
    reasons = "; ".join(f"{', '.join(names)}: {why}" for why, names in layers.items())
    msg = f"prune: no channel of the network can be removed ({reasons or 'it has no convolution and no linear layer'})"
    return UnfitError(msg)


def _pruned(network: torch.nn.Module, groups: list[ChannelGroup], cuts: Cuts, left: Mapping[str, str]) -> Pruned:
    removed = {name: len(cut) for name, cut in cuts.items() if name not in left}
    before = sum(group.channels for group in groups)
    layers = [_report(group, removed.get(group.name, 0), left.get(group.name)) for group in groups]
    figures: dict[Figure, float] = {
        Figure.CHANNELS_BEFORE: before,
        Figure.CHANNELS_AFTER: before - sum(removed.values()),
    }
    return Pruned(network=network.eval(), figures=figures, layers=tuple(layers))


def _report(group: ChannelGroup, removed: int, left: str | None) -> LayerReport:
    if left is not None:
        return LayerReport(layer=group.name, outcome=f"left alone: {left}")
    others = [name for name in group.makers if name != group.name]
    shared = f", shared with {', '.join(others)}" if others else ""
    return LayerReport(layer=group.name, outcome=f"{group.channels - removed} of {group.channels} channels{shared}")


def _check_keep(network: torch.nn.Module, step: Prune) -> None:
    names = [name for name, _ in network.named_modules() if name]
    for kept in step.keep:
        if kept not in names:
            msg = f"keep names {kept!r}, which is not a layer of the network; {suggestion(kept, names)}"
            raise BuildError(msg)


def _why_left(group: ChannelGroup, step: Prune) -> str | None:
    if group.fixed is not None:
        return group.fixed
    kept = next((k for k in step.keep for name in group.makers if f"{name}.".startswith(f"{k}.")), None)
    if kept is not None:
        return f"keep names {kept}"
    if group.channels <= step.round_to:
        return f"it has {group.channels} channels, not more than round_to ({step.round_to})"
    return None


def _rated(
    groups: list[ChannelGroup], step: Prune, network: torch.nn.Module, context: StepContext
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the ratings of the channels by group, and why the other groups cannot be rated."""
    rate = rating(step.importance, network, context) if groups else None
    rated, unrated = {}, {}
    for group in groups:
        try:
            if rate is not None:
                rated[group.name] = rate(group)
        # torch-pruning loses count of channels that are reshaped, or concatenated with themselves.
        except (IndexError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
            unrated[group.name] = f"its channels cannot be rated ({first_line(error)})"
    return rated, unrated


def _cuts(rated: Mapping[str, torch.Tensor], step: Prune) -> Cuts:
    """Choose the channels to remove from each group."""
    match step.scope:
        case Scope.LAYER:
            kept = {name: len(ratings) * (1 - step.ratio) for name, ratings in rated.items()}
        case Scope.GLOBAL:
            kept = _kept_of_all(rated, step.ratio)
        case _:
            assert_never(step.scope)
    cuts = {}
    for name, ratings in rated.items():
        _check_left(name, kept[name], len(ratings), step)
        remove = len(ratings) - _rounded(kept[name], len(ratings), step.round_to)
        # The sort is stable, so equal ratings give the same channels on every run.
        cuts[name] = sorted(ratings.argsort(stable=True)[:remove].tolist())
    return {name: cut for name, cut in cuts.items() if cut}


def _kept_of_all(rated: Mapping[str, torch.Tensor], ratio: float) -> dict[str, float]:
    """The number of channels that each layer keeps when the least important ones of all layers are removed."""
    import torch

    owners = torch.cat([torch.full((len(ratings),), number) for number, ratings in enumerate(rated.values())])
    order = torch.cat(list(rated.values())).argsort(stable=True)
    staying = owners[order[int(ratio * len(order)) :]]
    return {name: float((staying == number).sum()) for number, name in enumerate(rated)}


def _check_left(name: str, kept: float, channels: int, step: Prune) -> None:
    if kept >= 1 - 1e-9:
        return
    msg = (
        f"prune: ratio {step.ratio:g} and scope {step.scope.value!r} would remove all {channels} channels of {name!r}; "
        f"use a smaller ratio, or name the layer in keep"
    )
    raise BuildError(msg)


def _rounded(kept: float, channels: int, multiple: int) -> int:
    """The nearest multiple (the smaller one if both are equally near), at least one and at most ``channels``."""
    return min(max(math.ceil(kept / multiple - 0.5), 1) * multiple, channels)


def _cut_what_runs(
    network: torch.nn.Module, cuts: Cuts, groups: list[ChannelGroup], context: StepContext
) -> tuple[torch.nn.Module, dict[str, str]]:
    """Apply all cuts. If the network does not take them, apply only those that it takes one by one."""
    example = context.example()
    checked = not mixes_channels(network, example)

    def attempt(chosen: Cuts) -> tuple[torch.nn.Module, str | None]:
        pruned = _cut(network, chosen, example)
        why = _why_not_runs(pruned, network, example)
        if why is not None:
            return pruned, f"the network does not run with fewer of its channels ({why})"
        return pruned, why_other_outputs(network, pruned, chosen, groups, example) if checked else None

    pruned, why = attempt(cuts)
    if why is None:
        return pruned, {}
    failed = {name: reason for name, cut in cuts.items() if (reason := attempt({name: cut})[1]) is not None}
    pruned, why = attempt({name: cut for name, cut in cuts.items() if name not in failed})
    if why is not None:
        msg = f"prune: the layers cannot lose channels together: {why}"
        raise UnfitError(msg)
    return pruned, failed


def _cut(network: torch.nn.Module, cuts: Cuts, example: tuple[torch.Tensor, ...]) -> torch.nn.Module:
    pruned = copy.deepcopy(network)
    # A group refers to the layers of the network it was found in, so the copy needs its own groups.
    for group in channel_groups(pruned, example):
        if group.name in cuts:
            group.items.prune(cuts[group.name])
    return pruned


def _why_not_runs(pruned: torch.nn.Module, network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> str | None:
    import torch

    with torch.no_grad():
        expected = _shapes(network(*example))
        try:
            shapes = _shapes(pruned(*example))
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            return first_line(error)
    return None if shapes == expected else f"its outputs have the shapes {shapes} instead of {expected}"


def _shapes(result: object) -> list[list[int]]:
    import torch

    items = result.values() if isinstance(result, dict) else result if isinstance(result, tuple | list) else [result]
    return [list(item.shape) for item in items if isinstance(item, torch.Tensor)]
