"""What a night says about its devices: who was away, who goes into quarantine or comes back, and what it all cost."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records import units
from harness.workflows.nightly.quarantine import describe, new_in_quarantine, returned, without_name
from harness.workflows.nightly.record import Absent, DeviceUsage, NightRecord

USAGE_TITLES = ("device", "cells", "device-minutes", "of which cooling", "queue", "utilisation")
USAGE_WORDS = (
    "Queue is how long a cell waited for its device, on average. Utilisation is the share of the time in which any "
    "device was busy."
)
# Devices that are away for one reason are named up to this many.
MOST_NAMED = 8


def device_lines(record: NightRecord) -> list[str]:
    """Return a sentence for each device that was away, or whose quarantine begins or ends, and one for the cost."""
    tried = [absent for absent in record.absent if absent.device not in record.kept_out]
    lines = [_away_line(group, "absent") for group in _by_reason(tried)]
    lines += [_away_line(group, "lost during the run") for group in _by_reason(record.lost)]
    lines += [f"Device {a.device} has been {a.reason}." for a in record.absent if a.device in record.kept_out]
    lines += [f"Device {h.device} has been {describe(h, h.wait + 1)}." for h in new_in_quarantine(record)]
    lines += [f"Device {device} measured again: its quarantine is over." for device in returned(record)]
    return lines + ([_cost(record.usage)] if record.usage else [])


def usage_rows(usage: Sequence[DeviceUsage]) -> list[tuple[str, ...]]:
    """Return one row per device; the columns are `USAGE_TITLES`."""
    return [
        (
            one.device,
            str(one.cells),
            minutes(one.busy_s),
            minutes(one.cooling_s),
            minutes(one.queued_s),
            units.percent(one.utilisation, 0),
        )
        for one in usage
    ]


def minutes(seconds: float) -> str:
    """Return a duration in minutes."""
    return f"{seconds / 60:.1f} min"


def _by_reason(absent: Sequence[Absent]) -> list[list[Absent]]:
    """Devices that were away for the same reason, together."""
    groups: dict[str, list[Absent]] = {}
    for one in absent:
        groups.setdefault(without_name(one.device, one.reason), []).append(one)
    return list(groups.values())


def _away_line(group: Sequence[Absent], what: str) -> str:
    first = group[0]
    if len(group) == 1:
        return f"Device {first.device} was {what}: {first.reason}."
    names = ", ".join(one.device for one in group[:MOST_NAMED])
    more = f" and {len(group) - MOST_NAMED} more" if len(group) > MOST_NAMED else ""
    return f"{len(group)} devices were {what} for the same reason ({names}{more}): {first.reason}."


def _cost(usage: Sequence[DeviceUsage]) -> str:
    busy, active = sum(one.busy_s for one in usage), max(one.active_s for one in usage)
    if len(usage) == 1:
        return f"Cost: {minutes(busy)} of device {usage[0].device}."
    share = units.percent(busy / (active * len(usage)), 0) if active else units.NONE
    return f"Cost: {minutes(busy)} on {len(usage)} devices, which were busy {share} of {minutes(active)}."
