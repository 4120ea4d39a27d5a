"""What every device kind does with energy counters: say whether it has one, and add its readings to a reply.

A device that can count energy has the kind of counter under `COUNTER` in the details of its `DeviceInfo`; one that
cannot has the reason under `NO_COUNTER`. A driver adds a counter by one call of `with_counter`, on whatever clock its
readings are: the runner's own, or that since the device was switched on where the reply has a ``boot_offset_ns``.
"""

from __future__ import annotations

from dataclasses import replace

from harness.devices.device import Execution
from harness.records.device import DeviceInfo
from harness.spec.profiles import SECOND_NS, Profile
from harness.wire import EnergyCounter, encode

COUNTER = "energy_counter"
NO_COUNTER = "no_energy_counter"
# How many seconds an idle or load block takes at least, on devices whose counter is brought up to date rarely.
BLOCK_S = "energy_block_s"


def why_no_energy(info: DeviceInfo) -> str | None:
    """Return why a device cannot give the energy of an inference, or None if it has a counter."""
    if info.details.get(COUNTER):
        return None
    reason = info.details.get(NO_COUNTER) or f"device kind {info.kind!r} has none that phonebench reads"
    return f"no energy counter: {reason}"


def with_blocks(profile: Profile, info: DeviceInfo) -> Profile:
    """Return ``profile`` with blocks that are long enough for the counter of a device."""
    block_ns = int(info.details.get(BLOCK_S, "0")) * SECOND_NS
    if not profile.idle_ns or block_ns <= profile.idle_ns:
        return profile
    cap_ns = profile.cap_ns + block_ns - profile.measure_ns
    return replace(profile, idle_ns=block_ns, measure_ns=max(profile.measure_ns, block_ns), cap_ns=cap_ns)


def with_counter(execution: Execution, counter: EnergyCounter) -> Execution:
    """Return ``execution`` with the counter in its reply, if its runner made an idle block."""
    energy = execution.reply.energy
    if energy is None:
        return execution
    reply = replace(execution.reply, energy=replace(energy, counter=counter))
    return replace(execution, reply=reply, reply_bytes=encode(reply))
