"""Whether a network is a function of its input: the same input gives the same outputs, whatever was run before.

Files are. So a network that draws random numbers, or that keeps state between calls, cannot be compared with any file,
and it is refused before one is built, with the line or the buffer that is the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import BuildError
from harness.model.card import ModelCard
from harness.model.changes import changes, state_of
from harness.model.network import output_names
from harness.model.outputs import named
from harness.model.preserve import preserved
from harness.model.watch import Watched, watch
from harness.stats.fidelity import differing_inputs
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

    Call = Sequence[torch.Tensor]

# Outputs of two runs that differ by less than this, relative to the largest value, are the same: parallel sums may be
# added in another order.
SAME = 1e-5
# What rounding does to a result, relative to it.
ROUNDING = 1e-6
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What was found about a network that is a function of its input.

    ``ordered``: the names of outputs that were picked in an order. ``hints``: sentences about what files may not
    follow, each with its place in the user's code. ``branches``: where a value was read that Python may decide by.
    ``names``: of all outputs.
    """

    names: tuple[str, ...]
    ordered: tuple[str, ...]
    hints: tuple[str, ...]
    branches: tuple[str, ...] = ()


def check_function(card: ModelCard, network: torch.nn.Module, calls: tuple[Call, Call]) -> Traits:
    """Run ``network`` on the inputs of two calls, twice and in another order, and return its traits.

    Nothing of the runs remains in the network. Raises `BuildError` with the cause if it is no function of its input.
    """
    import torch

    one, other = calls
    with preserved(network):
        before = state_of(network)
        first = _run(network, one)
        again, after = _run(network, one), _run(network, other)
        changed = changes(before, state_of(network))
        difference = _difference(first, again) or _difference(first, _run(network, one))
    with preserved(network):
        difference = difference or _difference(after, _run(network, other))
    with preserved(network):
        watched = watch(network, _copies(one), (card.folder or Path.cwd()).resolve())
    parameter = next((name for name in changed if name.startswith("parameter")), None)
    if difference is None and parameter is None:
        known = output_names(network)
        return _traits(card, known if len(known) == len(first) else tuple(first), watched)
    raise BuildError(_refusal(card, difference, changed, watched, scripted=isinstance(network, torch.jit.ScriptModule)))


def unstable_calls(
    network: torch.nn.Module,
    calls: Sequence[Call],
    expected: Sequence[Array],
    limit_db: float,
    *,
    skip: Sequence[int] = (),
) -> int:
    """Return for how many of ``calls`` rounding errors in the input change the outputs by more than ``limit_db``.

    Each real number of an input is changed by up to a millionth, about eight units in the last place of float32. A
    network that decides by thresholds inside may then decide the other way, and a correct file may do so too. All calls
    must give the same shapes. ``expected``: the outputs of ``network`` on ``calls``, one array per output, of shape
    ``(count, *output shape)``. ``skip``: the positions of outputs that are not looked at.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    with preserved(network):
        moved = [list(_run(network, [_moved(x, generator) for x in call]).values()) for call in calls]
    unstable: set[int] = set()
    for place, right in enumerate(expected):
        if place not in skip and right.dtype.kind == "f" and right.size:
            actual = torch.stack([outputs[place].float().flatten() for outputs in moved])
            unstable.update(differing_inputs(right.reshape(len(calls), -1), actual.numpy(), limit_db))
    return len(unstable)


def _moved(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    import torch

    if not tensor.is_floating_point():
        return tensor
    noise = torch.rand(tensor.shape, generator=generator) * 2 - 1
    return tensor * (1 + ROUNDING * noise).to(tensor.dtype)


def _traits(card: ModelCard, names: tuple[str, ...], watched: Watched) -> Traits:
    hints = [
        *(
            f"forward decides by a value ({place}): a traced file keeps the branch of one input"
            for place in watched.reads
        ),
        *(f"forward seeds a random generator itself ({place}): files do not" for place in watched.random),
        *(
            f"forward changes its input {card.inputs[i].name if i < len(card.inputs) else i!r} in place ({place})"
            for i, place in watched.input_writes.items()
        ),
    ]
    return Traits(
        names=names,
        ordered=tuple(names[i] for i in watched.ordered),
        hints=tuple(hints[:_SHOWN]),
        branches=watched.reads[:_SHOWN],
    )


def _refusal(card: ModelCard, difference: str | None, changed: list[str], watched: Watched, *, scripted: bool) -> str:
    """The message: what differs, what the cause is, and what to do."""
    what = difference or "forward writes its weights"
    listed = [f"{name}{_at(name, watched.writes)}" for name in changed[:_SHOWN]]
    causes, advice = [], []
    if watched.random:
        causes.append(f"it draws random numbers: {'; '.join(watched.random[:_SHOWN])}")
        advice.append("give dropout its `training` flag, or make the noise an input")
    if changed:
        causes.append(f"it keeps state between calls: {', '.join(listed)}")
        advice.append("take the state as an input, return it as an output, and name both under [state] in model.toml")
    if not causes:
        hidden = "; attributes of TorchScript cannot be looked into" if scripted else ""
        causes.append(f"no random numbers, buffer or attribute explain it{hidden}")
        advice.append("look for the time, a global variable or a file in forward")
    return (
        f"the network of {card.name!r} is no function of its input: {what}; {' and '.join(causes)}. A file cannot do "
        f"the same, so none is built: {', and '.join(advice)}"
    )


def _at(name: str, places: dict[str, str]) -> str:
    place = next((place for tensor, place in places.items() if name.endswith(repr(tensor))), None)
    return f" (written in {place})" if place else ""


def _run(network: torch.nn.Module, call: Call) -> dict[str, Any]:
    import torch

    with torch.no_grad():
        result = named(network(*_copies(call)))
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else value for name, value in result.items()
    }


def _copies(call: Call) -> tuple[torch.Tensor, ...]:
    # Copied, because a network may work in place.
    return tuple(tensor.clone() for tensor in call)


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """In words what differs between two results of the same input, None if nothing does."""
    for name, value in one.items():
        if name not in other or value.shape != other[name].shape:
            return f"the same input gave {name} in another shape the next time"
        if value.is_complex():
            continue
        a, b = (np.asarray(side.detach().cpu().double().numpy()) for side in (value, other[name]))
        with np.errstate(invalid="ignore"):
            apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        largest = float(np.nan_to_num(np.abs(a), posinf=0.0).max()) if a.size else 0.0
        if a.size and not float(np.max(apart)) <= SAME * largest:
            return f"the same input gave another {name} the next time, apart by up to {float(np.max(apart)):.3g}"
    return None
