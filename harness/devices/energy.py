"""What every device kind does with energy counters: say whether it has one, and add its readings to a reply.

A device that can count energy has the kind of counter under `COUNTER` in the details of its `DeviceInfo`; one that
cannot has the reason under `NO_COUNTER`. A driver adds a counter by one call of `with_counter`, on whatever clock its
readings are: the runner's own, or that since the device was switched on where the reply has a ``boot_offset_ns``.
"""

from __future__ import annotations

from dataclasses import replace

from harness.devices.device import Execution
from harness.records.device import DeviceInfo
from harness.wire import EnergyCounter, encode

COUNTER = "energy_counter"
NO_COUNTER = "no_energy_counter"


def why_no_energy(info: DeviceInfo) -> str | None:
    """Return why a device cannot give the energy of an inference, or None if it has a counter."""
    if info.details.get(COUNTER):
        return None
    reason = info.details.get(NO_COUNTER) or f"device kind {info.kind!r} has none that phonebench reads"
    return f"no energy counter: {reason}"


def with_counter(execution: Execution, counter: EnergyCounter) -> Execution:
    """Return ``execution`` with the counter in its reply, if its runner made an idle block."""
    energy = execution.reply.energy
    if energy is None:
        return execution
    reply = replace(execution.reply, energy=replace(energy, counter=counter))
    return replace(execution, reply=reply, reply_bytes=encode(reply))
