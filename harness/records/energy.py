"""The energy of an inference, from the replies of its launches.

Launches with an idle block give the energy beyond that of the idle device (`harness.records.energy_pairs`). Others
give the board's power during the measured calls, idle power included, where a sensor was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records.energy_pairs import joules_of_pair, summarise_pairs
from harness.records.measurement import EnergySummary
from harness.stats.energy import CallEnergy, call_energy
from harness.stats.means import half_width
from harness.stats.normal import mean
from harness.wire import RunReply

# A sensor is read once a second; fewer seconds give too few readings, and the first follow a cold start.
LEAST_NS = 10_000_000_000
LEAST_READINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The measured calls of a launch: how long they took in all, the mean of one, and the power readings meanwhile."""

    took_ns: int
    call_ns: float
    watts: tuple[float, ...]


def launch_energy(reply: RunReply) -> CallEnergy | None:
    """Return the energy per call of one launch; None without a power sensor, and for a launch too short for one."""
    window = _window(reply)
    return None if window is None or _too_short(window) else call_energy(window.watts, window.call_ns)


def joules_of_launch(reply: RunReply) -> float | None:
    """Return the joules per call of one launch, or None."""
    if reply.energy is not None:
        return joules_of_pair(reply)
    energy = launch_energy(reply)
    return None if energy is None else energy.joules


def energy_summary(replies: Sequence[RunReply]) -> EnergySummary | None:
    """Return the energy per inference over launches; None without a sensor, without a value if they were too short.

    The value is the mean over launches, because energies add up. The interval is that of this mean, or of the readings
    where only one launch is long enough.
    """
    if any(reply.energy is not None for reply in replies):
        return summarise_pairs(replies)
    windows = [window for reply in replies if (window := _window(reply)) is not None]
    if not windows:
        return None
    definition = next((r.state.power_definition for r in replies if r.state and r.state.power_definition), "") or ""
    energies = [energy for reply in replies if (energy := launch_energy(reply)) is not None]
    if not energies:
        return EnergySummary(definition=definition, reason=_too_short(windows[-1]))
    joules, low, high = _over_launches(energies)
    return EnergySummary(
        joules=joules,
        low_joules=low,
        high_joules=high,
        mean_watts=mean([energy.mean_watts for energy in energies]),
        readings=sum(energy.readings for energy in energies),
        launches=len(energies),
        definition=definition,
    )


def _over_launches(energies: Sequence[CallEnergy]) -> tuple[float, float, float]:
    """Return the mean of the joules and the ends of its 95 % interval."""
    if len(energies) == 1:
        return energies[0].joules, energies[0].low_joules, energies[0].high_joules
    values = [energy.joules for energy in energies]
    joules, half = mean(values), half_width(values)
    return joules, max(0.0, joules - half), joules + half


def _window(reply: RunReply) -> Window | None:
    """Return the measured calls with the power meanwhile; None if the device has no sensor or its clock is unknown."""
    latency, state = reply.latency, reply.state
    if latency is None or state is None or state.power_definition is None or latency.began_ns is None:
        return None
    if not latency.samples_ns:
        return None
    last = latency.samples_ns[-1]
    took_ns = latency.at_ns[-1] + last if latency.at_ns else sum(latency.samples_ns)
    ended_ns = latency.began_ns + took_ns
    watts = [s.power_w for s in state.series if s.power_w is not None and latency.began_ns <= s.at_ns <= ended_ns]
    mean_ns = sum(latency.samples_ns) / len(latency.samples_ns)
    return Window(took_ns=took_ns, call_ns=mean_ns, watts=tuple(watts))


def _too_short(window: Window) -> str:
    """Return why the window gives no energy; empty if it does."""
    if window.took_ns < LEAST_NS:
        had, needed = f"{window.took_ns / 1e9:.1f} s", f"{LEAST_NS / 1e9:g} s"
        return f"needs {needed} of calls, had {had}: use profile energy, mlperf or sustained"
    if len(window.watts) < LEAST_READINGS:
        return f"needs {LEAST_READINGS} readings of the sensor, had {len(window.watts)}"
    return ""
