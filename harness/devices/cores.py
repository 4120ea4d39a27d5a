"""The clusters of a processor's cores, told apart by their maximum clocks."""

from __future__ import annotations

from harness.spec.phone_settings import Cores


def mask_of(clocks: dict[int, int], cores: Cores) -> str | None:
    """Return the mask of the slowest cluster, or of all other cores; of all cores if there is only one cluster.

    ``clocks`` are in kHz, by the number of the core. The mask is in hexadecimal, None if no clocks are known.
    """
    if not clocks:
        return None
    slowest = min(clocks.values())
    chosen = {core for core, khz in clocks.items() if (khz == slowest) == (cores is Cores.LITTLE)}
    return f"{sum(1 << core for core in chosen or clocks):x}"


def cores_in(mask: str) -> list[int]:
    """Return the numbers of the cores in a mask in hexadecimal."""
    bits = int(mask, 16)
    return [core for core in range(bits.bit_length()) if bits >> core & 1]
