"""The sensitivity scan: each layer of a network in int8 by itself, and the most sensitive kept in float one by one.

Source of the method: one layer at a time against the float output, as in HAWQ's experiments (Dong et al. 2019,
arXiv:1905.03696, §4) and in the quantisation debuggers of TensorFlow Lite and AIMET.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.records.sensitivity import Scan, ScannedUnit
from harness.stats.fidelity import OutputFidelity, compare_outputs
from harness.variants.simulate import Items, Simulation

if TYPE_CHECKING:
    import torch

# From more layers than this on, neighbours are scanned together: time grows with the square of the depth.
MOST_UNITS = 96


def scan_network(network: torch.nn.Module, items: Items, *, model: str, key: str, classes: bool) -> Scan:
    """Scan ``network`` on ``items``, one tensor an input of the network each; the same call gives the same figures.

    ``classes`` says that the first output holds scores of classes. Raises `UnfitError` when there is nothing to scan.
    """
    started = time.monotonic()
    simulation = Simulation(network, items)

    def compared(quantised: Sequence[str]) -> OutputFidelity:
        return compare_outputs(simulation.reference, simulation.run(quantised), classes=classes)

    units = sorted(
        (_unit(simulation, name, layers, compared(layers)) for name, layers in _units(simulation.layers).items()),
        key=lambda unit: unit.sqnr_db,
    )
    kept = [compared([layer for unit in units[k:] for layer in unit.layers]) for k in range(len(units) + 1)]
    return Scan(
        key=key,
        model=model,
        inputs=len(items),
        random_inputs=False,
        units=tuple(units),
        kept_sqnr_db=tuple(found.sqnr_db for found in kept),
        int8_agreement=kept[0].agreement,
        seconds=time.monotonic() - started,
    )


def _unit(simulation: Simulation, name: str, layers: tuple[str, ...], found: OutputFidelity) -> ScannedUnit:
    return ScannedUnit(
        name=name,
        layers=layers,
        kind=", ".join(dict.fromkeys(simulation.kind(layer) for layer in layers)),
        parameters=sum(simulation.parameters(layer) for layer in layers),
        sqnr_db=found.sqnr_db,
        agreement=found.agreement,
    )


def _units(layers: Sequence[str], most: int = MOST_UNITS) -> dict[str, tuple[str, ...]]:
    """Each layer by itself; where there are more than ``most``, the layers of one block together.

    A block is a module that holds several layers: the deepest level of modules that gives few enough of them.
    """
    deepest = max(layer.count(".") for layer in layers) + 1
    for depth in range(deepest, 0, -1):
        units: dict[str, list[str]] = {}
        for layer in layers:
            units.setdefault(".".join(layer.split(".")[:depth]), []).append(layer)
        if len(units) <= most:
            break
    return {name: tuple(members) for name, members in units.items()}
