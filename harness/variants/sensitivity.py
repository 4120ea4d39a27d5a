"""The sensitivity scan: quantises each layer by itself, then keeps the most sensitive layers in float one by one.

One layer at a time is compared with the float output, as in HAWQ's experiments (Dong et al. 2019, arXiv:1905.03696, §4)
and in the quantisation debuggers of TensorFlow Lite and AIMET.
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

# With more layers than this, neighbours are scanned together: the time grows with the square of the layer count.
MOST_UNITS = 96


def scan_network(network: torch.nn.Module, items: Items, *, model: str, key: str, classes: bool) -> Scan:
    """Scan ``network`` on ``items``, tuples of one tensor per input. The same call always gives the same results.

    ``classes``: the first output holds class scores. Raises `UnfitError` when there is no layer to scan.
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
        kept_sqnr_db=tuple(fidelity.sqnr_db for fidelity in kept),
        int8_agreement=kept[0].agreement,
        seconds=time.monotonic() - started,
    )


def _unit(simulation: Simulation, name: str, layers: tuple[str, ...], fidelity: OutputFidelity) -> ScannedUnit:
    return ScannedUnit(
        name=name,
        layers=layers,
        kind=", ".join(dict.fromkeys(simulation.kind(layer) for layer in layers)),
        parameters=sum(simulation.parameters(layer) for layer in layers),
        sqnr_db=fidelity.sqnr_db,
        agreement=fidelity.agreement,
    )


def _units(layers: Sequence[str], most: int = MOST_UNITS) -> dict[str, tuple[str, ...]]:
    """Each layer by itself, or, where there are more than ``most`` layers, the layers of one block together.

    A block is a module that holds several layers, at the deepest level that gives at most ``most`` blocks.
    """
    deepest = max(layer.count(".") for layer in layers) + 1
    for depth in range(deepest, 0, -1):
        units: dict[str, list[str]] = {}
        for layer in layers:
            units.setdefault(".".join(layer.split(".")[:depth]), []).append(layer)
        if len(units) <= most:
            break
    return {name: tuple(members) for name, members in units.items()}
