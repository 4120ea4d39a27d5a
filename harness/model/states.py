"""States that the caller keeps between calls: an output of one call is an input of the next.

Files know nothing of a sequence: each call takes its state as an input. So the float network is run over the inputs in
order, and the states that it passes on become the inputs of the calls. Every file then gets the same, realistic states,
and one call can be compared with the same call of the float network. Errors of a file do not add up over the sequence;
its own states are among the outputs that are compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import BuildError
from harness.model.card import ModelCard, SourceKind
from harness.model.data import Dataset
from harness.model.network import load_network, output_names
from harness.model.outputs import named
from harness.model.preserve import preserved
from harness.wire import TensorSpec

if TYPE_CHECKING:
    import torch

# Models that are a PyTorch network. The states of others stay at zero.
_NETWORKS = (SourceKind.PYTHON, SourceKind.EXPORTED, SourceKind.TORCHSCRIPT, SourceKind.COMPOSED)


def from_zeros(card: ModelCard, data: Dataset) -> Dataset:
    """Return ``data`` with zeros for all states."""
    states = {link.input for link in card.state}
    inputs = zip(card.inputs, data.inputs, strict=True)
    return replace(data, inputs=tuple(np.zeros_like(a) if s.name in states else a for s, a in inputs))


def with_states(card: ModelCard, data: Dataset) -> Dataset:
    """Return ``data`` with the states that the float network of ``card`` passes from call to call, from zeros on.

    The whole split is one sequence. States that the data give themselves, other than zeros, stay as they are. Raises
    `BuildError` if the network has no such output, or if its shape or type differs from that of the input.
    """
    places = {spec.name: at for at, spec in enumerate(card.inputs)}
    links = {link.output: places[link.input] for link in card.state}
    given = any(data.inputs[at].any() for at in links.values())
    if given or card.kind not in _NETWORKS:
        return data
    inputs = [np.array(array) for array in data.inputs]
    network = load_network(card)
    with preserved(network):
        for index in range(data.count):
            outputs = _run(network, [array[index] for array in inputs])
            for name, at in links.items():
                state = _checked(card, outputs, name, card.inputs[at])
                if index + 1 < data.count:
                    inputs[at][index + 1] = state
    return replace(data, inputs=tuple(inputs))


def _run(network: torch.nn.Module, arrays: list[Any]) -> dict[str, Any]:
    import torch

    with torch.no_grad():
        values = named(network(*(torch.from_numpy(np.array(array)) for array in arrays)))
    # A network that was made to return a flat tuple has lost the names that it gave its outputs.
    names = output_names(network)
    return dict(zip(names, values.values(), strict=True)) if len(names) == len(values) else values


def _checked(card: ModelCard, outputs: dict[str, Any], name: str, spec: TensorSpec) -> Any:
    if name not in outputs:
        msg = (
            f"[state] of model {card.name!r} names the output {name!r}, which the network does not have; it has "
            f"{', '.join(outputs)}: outputs of a dict have its keys as names, others their position"
        )
        raise BuildError(msg)
    array = outputs[name].detach().numpy()
    if array.shape != spec.shape or array.dtype.name != spec.dtype.value:
        msg = (
            f"[state] of model {card.name!r} passes {name!r} ({array.dtype.name} {list(array.shape)}) on to "
            f"{spec.name!r} ({spec.dtype.value} {list(spec.shape)}); both must have the same type and shape"
        )
        raise BuildError(msg)
    return array
