"""The energy of an inference from pairs of an idle and a load block, from the replies of the profile ``energy``.

Anything that makes a pair worthless is a sentence, and so is a session with too few good pairs: never a figure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from harness.records.measurement import EnergySummary
from harness.stats.energy_pairs import (
    LEAST_MOVES,
    LEAST_PAIRS,
    BlockPair,
    BlockRate,
    CounterSeries,
    PairsEnergy,
    block_rate,
    pair_joules,
    pairs_energy,
)
from harness.wire import (
    EnergyBlock,
    EnergyBlockKind,
    EnergyCounter,
    EnergyFacts,
    EnergyReading,
    EnergySource,
    RunReply,
)

DEFINITION = (
    "energy of the calls beyond that of the idle device, from pairs of an idle and a load block; repeatable as the "
    "interval says, absolute scale not calibrated: compare on this device only; counter: {counter}"
)
# A microampere-hour is 3.6 millicoulombs, so with volts it is millijoules.
_UAH_TO_COULOMBS = 3.6e-3
# Some phones count whole milliampere-hours under the name of microampere-hours. The largest batteries of phones and
# tablets have about 12,000 of them, and no device runs on a hundredth of a small battery.
LEAST_CHARGE_UAH = 15_000


def pair_of_reply(reply: RunReply) -> BlockPair | str:
    """Return the blocks of a launch in watts, or in words why they give no energy."""
    facts, counter = reply.energy, counter_of_reply(reply)
    if facts is None:
        return "the runner ran no idle block"
    blocks = [next((b for b in facts.blocks if b.kind is kind), None) for kind in EnergyBlockKind]
    idle, load = blocks
    if idle is None or load is None or not load.calls:
        return "the runner reports no idle block before its calls"
    if counter is None:
        return "no energy counter was read"
    if counter.reason:
        return counter.reason
    return _pair(facts, counter, idle, load)


def counter_of_reply(reply: RunReply) -> EnergyCounter | None:
    """Return the counter of a launch; readings of a power sensor add up to one."""
    if reply.energy is not None and reply.energy.counter is not None:
        return reply.energy.counter
    state = reply.state
    if state is None or state.power_definition is None:
        return None
    samples = [(s.at_ns, s.power_w) for s in state.series if s.power_w is not None]
    readings, total = [], 0.0
    for index, (at_ns, watts) in enumerate(samples):
        if index:
            before_ns, before = samples[index - 1]
            total += (watts + before) / 2 * (at_ns - before_ns) / 1e9
        readings.append(EnergyReading(at_ns=at_ns, microjoules=(round(total * 1e6),)))
    return EnergyCounter(
        source=EnergySource.SENSOR,
        definition=state.power_definition,
        channels=("sensor",),
        readings=tuple(readings),
    )


def summarise_pairs(replies: Sequence[RunReply]) -> EnergySummary:
    """Return the energy per inference over launches that asked for an idle block, or why there is none."""
    counter = next((found for reply in replies if (found := counter_of_reply(reply))), None)
    empty = EnergySummary(
        definition=DEFINITION.format(counter=counter.definition) if counter else "",
        source=counter.source.value if counter else "",
        launches=len(replies),
    )
    outcomes = [pair_of_reply(reply) for reply in replies]
    pairs = [outcome for outcome in outcomes if isinstance(outcome, BlockPair)]
    if len(pairs) < LEAST_PAIRS:
        return replace(empty, pairs=len(pairs), reason=_too_few(pairs, outcomes))
    energy = pairs_energy(pairs)
    if energy.low_joules <= 0:
        told = f"{energy.joules * 1e3:.3g} mJ, interval from {energy.low_joules * 1e3:.3g} mJ"
        reason = f"the calls are not told from the idle device: {told}; measure a larger model, or on more threads"
        return replace(empty, pairs=len(pairs), idle_watts=energy.idle_watts, reason=reason)
    return _with_tokens(_summary(empty, energy, replies), pairs, replies)


def joules_of_pair(reply: RunReply) -> float | None:
    """Return the energy of a call of one launch by itself, or None."""
    pair = pair_of_reply(reply)
    return pair_joules([pair])[0] if isinstance(pair, BlockPair) else None


def token_joules_of_pair(reply: RunReply) -> float | None:
    """Return the energy of a generated token of one launch by itself, or None."""
    pair, tokens = pair_of_reply(reply), _tokens(reply.energy)
    return pair_joules([replace(pair, count=tokens)])[0] if isinstance(pair, BlockPair) and tokens else None


def _too_few(pairs: Sequence[BlockPair], outcomes: Sequence[BlockPair | str]) -> str:
    reasons = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    had = f"needs {LEAST_PAIRS} good pairs of an idle and a load block, had {len(pairs)} of {len(outcomes)}"
    return f"{had}: {reasons.most_common(1)[0][0]}" if reasons else f"{had}: leave out --launches"


def _summary(empty: EnergySummary, energy: PairsEnergy, replies: Sequence[RunReply]) -> EnergySummary:
    counters = [counter for reply in replies if (counter := counter_of_reply(reply))]
    return replace(
        empty,
        joules=energy.joules,
        low_joules=energy.low_joules,
        high_joules=energy.high_joules,
        mean_watts=energy.load_watts,
        idle_watts=energy.idle_watts,
        readings=sum(len(counter.readings) for counter in counters),
        pairs=energy.pairs,
        resolution_joules=energy.resolution_joules,
        volts=_mean([volts for counter in counters if (volts := _volts(counter)) is not None]),
    )


def _with_tokens(summary: EnergySummary, pairs: list[BlockPair], replies: Sequence[RunReply]) -> EnergySummary:
    """Add the energy per token: the same pairs, with tokens counted in place of calls."""
    good = [reply for reply in replies if isinstance(pair_of_reply(reply), BlockPair)]
    tokens = [_tokens(reply.energy) for reply in good]
    if not all(tokens):
        return summary
    energy = pairs_energy([replace(pair, count=count) for pair, count in zip(pairs, tokens, strict=True)])
    return replace(
        summary,
        token_joules=energy.joules,
        token_low_joules=energy.low_joules,
        token_high_joules=energy.high_joules,
    )


def _tokens(facts: EnergyFacts | None) -> int:
    return sum(block.tokens or 0 for block in facts.blocks if block.kind is EnergyBlockKind.LOAD) if facts else 0


def _pair(facts: EnergyFacts, counter: EnergyCounter, idle: EnergyBlock, load: EnergyBlock) -> BlockPair | str:
    # Readings of a power sensor are among the states, on the clock of the blocks.
    offset_ns = (facts.boot_offset_ns or 0) if facts.counter is not None else 0
    began_ns, ended_ns = idle.began_ns + offset_ns, load.ended_ns + offset_ns
    readings = [reading for reading in counter.readings if began_ns <= reading.at_ns <= ended_ns]
    if any(reading.charging for reading in readings):
        return "the battery was charging: unplug it, and reach the phone over the network"
    series = _series(readings, counter.step_uah or 0)
    if series.goes_backwards or _channel_falls(readings):
        return "the counter went backwards, as it does when something feeds the battery or the counter restarts"
    if unit := _other_unit(readings):
        return unit
    rates = [
        block_rate(series, (block.began_ns + offset_ns) / 1e9, (block.ended_ns + offset_ns) / 1e9)
        for block in (idle, load)
    ]
    if rates[0] is None or rates[1] is None:
        return f"the counter was read only {len(readings)} times, which does not cover the blocks"
    load_s = (load.ended_ns - load.began_ns) / 1e9
    if not readings[0].microjoules and _volts(counter) is None:
        return "the device does not report the voltage of its battery, without which its charge is no energy"
    if rates[1].moves < LEAST_MOVES:
        return f"the counter moved {rates[1].moves} times in {load_s:.0f} s of calls: it is too coarse for this device"
    watts = [_in_watts(rate, counter, readings) for rate in rates if rate is not None]
    return BlockPair(idle=watts[0], load=watts[1], load_s=load_s, count=load.calls)


def _series(readings: Sequence[EnergyReading], step_uah: int) -> CounterSeries:
    """The readings as a total that grows: joules, or the microampere-hours that have left a battery."""
    if all(reading.microjoules for reading in readings):
        totals = [math.fsum(reading.microjoules) / 1e6 for reading in readings]
    else:
        totals = [-float(reading.charge_uah or 0) for reading in readings]
    grain = 0 if readings and readings[0].microjoules else step_uah
    return CounterSeries(at_s=tuple(reading.at_ns / 1e9 for reading in readings), totals=tuple(totals), grain=grain)


def _other_unit(readings: Sequence[EnergyReading]) -> str:
    """Why charges are in another unit than microampere-hours, empty if they may be in it."""
    highest = max((reading.charge_uah or 0 for reading in readings), default=0)
    if not 0 < highest < LEAST_CHARGE_UAH:
        return ""
    return (
        f"the battery says that {highest} µAh are left, less than a device can run on: its counter has another unit "
        "than Android defines, so it gives no energy"
    )


def _channel_falls(readings: Sequence[EnergyReading]) -> bool:
    """Whether one of several counters restarted: what the others rise meanwhile can hide it in the sum."""
    return any(
        after < before
        for one, other in pairwise(readings)
        for before, after in zip(one.microjoules, other.microjoules, strict=False)
    )


def _in_watts(rate: BlockRate, counter: EnergyCounter, readings: Sequence[EnergyReading]) -> BlockRate:
    if readings[0].microjoules:
        return rate
    return rate.times(_UAH_TO_COULOMBS * (_volts(counter) or 0.0))


def _volts(counter: EnergyCounter) -> float | None:
    return counter.volts or _mean([reading.volts for reading in counter.readings if reading.volts])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
