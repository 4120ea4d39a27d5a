"""The result of a sensitivity scan, and which layers a recipe keeps in float because of it. Needs no torch.

Layers are ranked by the error that each causes alone, with all others in float. The opposite, keeping one layer of a
quantised network in float, says less: the error of the other layers hides its own, and after the first few layers the
ranking is noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError, suggestion
from harness.spec.recipe import KeepFloat

# 1 (2026-11): the first.
SCHEMA = 1

# Increase this with every change, to the simulation or to the choice below, that may change the kept layers: it is
# part of the cache key.
REVISION = 3

# Calibration inputs per scan, unless the user asks for another number.
DEFAULT_INPUTS = 10
MOST_INPUTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedUnit:
    """One layer (in very deep networks, one block of layers) in int8 with everything else in float.

    ``layers`` are the names of its submodules, ``kind`` their class. ``sqnr_db`` and ``agreement`` (0…1) compare the
    network's first output with the float network's; agreement is None if the outputs are not classes.
    """

    name: str
    layers: tuple[str, ...]
    kind: str
    parameters: int
    sqnr_db: float
    agreement: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All units of a network, the most sensitive first.

    ``kept_sqnr_db[k]`` is the SQNR of the output in dB with the ``k`` most sensitive units in float and all others in
    int8: the first entry is plain int8, the last is float. ``int8_agreement`` is that of plain int8. ``inputs`` is the
    number of calibration inputs; ``random_inputs`` means that they are noise. ``weights_sha256`` is the digest of the
    model's weights; earlier versions stored none.
    """

    schema: int = SCHEMA
    key: str
    model: str
    inputs: int
    random_inputs: bool
    units: tuple[ScannedUnit, ...]
    kept_sqnr_db: tuple[float, ...]
    int8_agreement: float | None
    seconds: float
    weights_sha256: str = ""

    @property
    def layer_count(self) -> int:
        """Return the number of layers in all units."""
        return sum(len(unit.layers) for unit in self.units)


def check_inputs(count: int) -> None:
    """Raise `UsageError` unless a scan can use ``count`` inputs."""
    if not 1 <= count <= MOST_INPUTS:
        msg = f"inputs is {count}: it must be from 1 to {MOST_INPUTS}"
        raise UsageError(msg)


def kept_layers(keep: KeepFloat, scan: Scan) -> tuple[str, ...]:
    """Return the layers that ``keep`` leaves in float. Raises `UsageError` if that is impossible for this network."""
    if keep.layers is not None:
        return named_layers(keep.layers, [layer for unit in scan.units for layer in unit.layers])
    if keep.sqnr_db is not None:
        return _reaching(keep.sqnr_db, scan)
    if keep.share is not None:
        # Without the small addition, rounding in a product such as 0.1 * 30 could lose a layer.
        most = max(1, math.floor(keep.share * scan.layer_count + 1e-9))
        return _most_sensitive(most, scan)
    return _most_sensitive(keep.count or 1, scan)


def named_layers(names: Sequence[str], all_layers: Iterable[str]) -> tuple[str, ...]:
    """Return the layers among ``all_layers`` that ``names`` select. A name is a layer or a module that contains layers.

    Raises `UsageError` for a name that selects none.
    """
    layers = tuple(all_layers)
    selected: dict[str, None] = {}
    for name in names:
        within = [layer for layer in layers if layer == name or layer.startswith(f"{name}.")]
        if not within:
            msg = f"keep_float names {name!r}, which is not a layer of the network; {suggestion(name, layers)}"
            raise UsageError(msg)
        selected |= dict.fromkeys(within)
    return tuple(selected)


def _most_sensitive(count: int, scan: Scan) -> tuple[str, ...]:
    """At most ``count`` layers, in whole units as long as they fit; part of the first unit if it alone is larger."""
    if count >= scan.layer_count:
        msg = f"keep_float asks for {count} of {scan.layer_count} layers, which leaves no layer in int8: ask for fewer"
        raise UsageError(msg)
    kept: list[str] = []
    for unit in scan.units:
        if len(kept) + len(unit.layers) <= count:
            kept += unit.layers
    return tuple(kept) or scan.units[0].layers[:count]


def _reaching(target_db: float, scan: Scan) -> tuple[str, ...]:
    count = next(k for k, sqnr_db in enumerate(scan.kept_sqnr_db) if sqnr_db >= target_db or k == len(scan.units))
    if count == len(scan.units):
        best = max(scan.kept_sqnr_db[:-1])
        msg = (
            f"keep_float.sqnr_db is {target_db:g}, which cannot be reached with any layer in int8; the best is "
            f"{best:.1f} dB with the {scan.kept_sqnr_db.index(best)} most sensitive units in float"
        )
        raise UsageError(msg)
    return tuple(layer for unit in scan.units[:count] for layer in unit.layers)
