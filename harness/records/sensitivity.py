"""What a sensitivity scan found, and which layers a recipe keeps in float because of it. Pure numbers, without torch.

The one decision: layers are ranked by what each costs alone, all others in float. Leaving one layer out of a quantised
network says less: the error of the others covers its own, so that past the first few the ranking is noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError, suggestion
from harness.spec.recipe import KeepFloat

# 1 (2026-11): the first.
SCHEMA = 1

# Counts the changes to the simulation, or to the choice below, that change what is kept.
REVISION = 1

# Calibration inputs that a scan looks at when it is not told.
DEFAULT_INPUTS = 10
MOST_INPUTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedUnit:
    """One layer, or in very deep networks one block of them, in int8 with everything else in float.

    ``layers`` are the names of the submodules in it, ``kind`` their class. ``sqnr_db`` and ``agreement`` (0…1) compare
    the network's first output with the float one's; agreement is None where the outputs are no classes.
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

    ``kept_sqnr_db[k]`` is the SQNR of the output, dB, with the ``k`` most sensitive units in float and all others in
    int8: the first is plain int8, the last is float. ``int8_agreement`` belongs to plain int8. ``inputs`` counts the
    calibration inputs that were looked at, ``random_inputs`` says that they are noise.
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

    @property
    def layer_count(self) -> int:
        """How many layers the units hold."""
        return sum(len(unit.layers) for unit in self.units)


def check_inputs(count: int) -> None:
    """Raise `UsageError` when a scan cannot look at ``count`` inputs."""
    if not 1 <= count <= MOST_INPUTS:
        msg = f"inputs is {count}: it must be from 1 to {MOST_INPUTS}"
        raise UsageError(msg)


def kept_layers(keep: KeepFloat, scan: Scan) -> tuple[str, ...]:
    """Return the layers that ``keep`` leaves in float. Raises `UsageError` when it asks for what cannot be."""
    if keep.layers is not None:
        known = [layer for unit in scan.units for layer in unit.layers]
        return named_layers(keep.layers, known)
    if keep.sqnr_db is not None:
        return _reaching(keep.sqnr_db, scan)
    if keep.share is not None:
        # A sum of floats such as 0.1 * 30 must not lose a layer.
        most = max(1, math.floor(keep.share * scan.layer_count + 1e-9))
        return _most_sensitive(most, scan)
    return _most_sensitive(keep.count or 1, scan)


def named_layers(names: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return those of the ``known`` layers that ``names`` name, each a layer or a module that holds layers."""
    layers = tuple(known)
    found: dict[str, None] = {}
    for name in names:
        within = [layer for layer in layers if layer == name or layer.startswith(f"{name}.")]
        if not within:
            msg = f"keep_float names {name!r}, which is no layer of the network; {suggestion(name, layers)}"
            raise UsageError(msg)
        found |= dict.fromkeys(within)
    return tuple(found)


def _most_sensitive(count: int, scan: Scan) -> tuple[str, ...]:
    """At most ``count`` layers, in whole units while they fit; of a first unit that is larger a part."""
    if count >= scan.layer_count:
        msg = f"keep_float asks for {count} of {scan.layer_count} layers, which leaves none for int8: ask for fewer"
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
            f"keep_float.sqnr_db is {target_db:g}: that cannot be reached with any layer in int8; the most that "
            f"keeping the {scan.kept_sqnr_db.index(best)} most sensitive in float gives is {best:.1f} dB"
        )
        raise UsageError(msg)
    return tuple(layer for unit in scan.units[:count] for layer in unit.layers)
