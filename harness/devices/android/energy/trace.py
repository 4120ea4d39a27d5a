"""Reads power rails and battery counters from a Perfetto trace. Pure: bytes in, plain values out.

The numbers of the fields are those of Perfetto's ``trace_packet.proto``, ``power_rails.proto`` and
``battery_counters.proto``. All times are those since the phone was switched on, sleep included.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.readers.protobuf import Message
from harness.wire import EnergyReading

_TRACE_PACKET, _PACKET_TIMESTAMP, _PACKET_BATTERY, _PACKET_RAILS = 1, 8, 38, 40
_RAILS_DESCRIPTOR, _RAILS_DATA = 1, 2
_DESCRIPTOR_INDEX, _DESCRIPTOR_NAME = 1, 2
_DATA_INDEX, _DATA_TIME_MS, _DATA_ENERGY_UJ = 1, 2, 3
_BATTERY_CHARGE_UAH = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTrace:
    """What a trace holds: the names of the rails with their totals in microjoules, and the charge of the battery."""

    rail_names: tuple[str, ...] = ()
    rails: tuple[EnergyReading, ...] = ()
    battery: tuple[EnergyReading, ...] = ()


def parse_trace(data: bytes) -> PowerTrace:
    """Return the counters in a trace, in the order of time. Raises ValueError if the bytes are no trace."""
    packets = Message(data, 0, len(data)).messages(_TRACE_PACKET)
    names: dict[int, str] = {}
    rails: dict[int, dict[int, int]] = {}
    battery: dict[int, EnergyReading] = {}
    for packet in packets:
        at_ns = packet.number(_PACKET_TIMESTAMP)
        found = packet.message(_PACKET_RAILS)
        if found is not None:
            names |= {
                one.number(_DESCRIPTOR_INDEX): one.text(_DESCRIPTOR_NAME) for one in found.messages(_RAILS_DESCRIPTOR)
            }
            _add_rails(rails, found.messages(_RAILS_DATA), at_ns)
        counters = packet.message(_PACKET_BATTERY)
        if counters is not None and counters.has(_BATTERY_CHARGE_UAH):
            battery[at_ns] = EnergyReading(at_ns=at_ns, charge_uah=counters.number(_BATTERY_CHARGE_UAH))
    # A reading that lacks a rail would look like a fall of the sum.
    order = sorted({index for values in rails.values() for index in values})
    whole = [at for at in sorted(rails) if all(index in rails[at] for index in order)]
    return PowerTrace(
        rail_names=tuple(names.get(index) or f"rail {index}" for index in order),
        rails=tuple(
            EnergyReading(at_ns=at, microjoules=tuple(rails[at][index] for index in order)) for at in whole if order
        ),
        battery=tuple(battery[at] for at in sorted(battery)),
    )


def _add_rails(rails: dict[int, dict[int, int]], data: list[Message], packet_ns: int) -> None:
    """Add the totals of one packet, at the moment of the latest of them; the tracer's own where they have none."""
    if not data:
        return
    at_ns = max(one.number(_DATA_TIME_MS) for one in data) * 1_000_000 or packet_ns
    rails.setdefault(at_ns, {}).update({one.number(_DATA_INDEX): one.number(_DATA_ENERGY_UJ) for one in data})
