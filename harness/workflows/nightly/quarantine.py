"""Devices that fail night after night: kept out for a while, then tried again.

A device fails a night if most of its cells were not measured, through no fault of theirs. After three such nights in a
row it is kept out of the following night, and then tried again. Each time in vain, the pause doubles, up to eight
nights. One good night ends the quarantine, and so does somebody who repaired the device and says so.

A night always tries something: if all of its devices are in quarantine, none is kept out. And if most devices of a
night fail for one reason, such as an adb server that does not start, no device is blamed for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.records import units
from harness.workflows.nightly.record import Absent, DeviceHealth, NightRecord

FAILED_NIGHTS = 3
# Nights out of the farm before each try.
PAUSES = (1, 2, 4, 8)
# With fewer devices, most of them may fail for the same reason by chance.
LEAST_COMMON = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How a device fared tonight: how many cells it had, how many of them were not measured, and why."""

    device: str
    cells: int
    missing: int
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether most of its cells were not measured."""
        return 2 * self.missing > self.cells


def kept_out(devices: Sequence[str], health: Iterable[DeviceHealth], readmitted: Sequence[str]) -> tuple[Absent, ...]:
    """Return which of the ``devices`` are kept out tonight, each with the reason; never all of them."""
    resting = [h for h in health if h.since is not None and h.wait > 0 and h.device not in readmitted]
    out = tuple(Absent(device=h.device, reason=describe(h, h.wait)) for h in resting if h.device in devices)
    return () if len(out) == len(devices) else out


def describe(health: DeviceHealth, ahead: int) -> str:
    """Return why a device is in quarantine, and that it comes back ``ahead`` nights from now."""
    nights = units.nights(health.failed)
    again = "it is tried again the next night" if ahead <= 1 else f"it is tried again in {units.nights(ahead)}"
    return (
        f"in quarantine since night {health.since}, because it failed {nights} in a row ({health.reason}); {again}, or "
        f"at once with --readmit {health.device}"
    )


def next_health(record: NightRecord, fared: Sequence[Fared]) -> tuple[DeviceHealth, ...]:
    """Return the devices that have failed lately, after tonight: those of ``fared`` were tried, the others were not."""
    before = {health.device: health for health in record.taken_over.devices}
    tried = {one.device: one for one in fared if one.device not in record.kept_out}
    common = _has_common_cause(tuple(tried.values()))
    after = {
        device: replace(health, wait=health.wait - 1) if device in record.kept_out else health
        for device, health in before.items()
        # One good night is enough.
        if device not in tried or tried[device].failed
    }
    for device, one in tried.items():
        if one.failed and not common:
            after[device] = _after_failure(before.get(device), one, record.id)
    return tuple(after[device] for device in sorted(after))


def new_in_quarantine(record: NightRecord) -> tuple[DeviceHealth, ...]:
    """Return the devices whose quarantine begins with this finished night."""
    return tuple(health for health in _after(record) if health.since == record.id)


def returned(record: NightRecord) -> tuple[str, ...]:
    """Return the devices whose quarantine ended with this finished night."""
    still = {health.device for health in _after(record)}
    return tuple(h.device for h in record.taken_over.devices if h.since is not None and h.device not in still)


def without_name(device: str, reason: str) -> str:
    """Return a reason without the name of its device, so that the reasons of several devices can be compared."""
    serial = device.partition(":")[2]
    text = reason.replace(device, "")
    return text.replace(serial, "") if serial else text


def _after(record: NightRecord) -> tuple[DeviceHealth, ...]:
    return record.handed_on.devices if record.handed_on is not None else ()


def _after_failure(before: DeviceHealth | None, one: Fared, night: str) -> DeviceHealth:
    failed = 1 + (before.failed if before else 0)
    if failed < FAILED_NIGHTS:
        return DeviceHealth(device=one.device, failed=failed, reason=one.reason)
    tries = before.tries + 1 if before is not None and before.since is not None else 0
    return DeviceHealth(
        device=one.device,
        failed=failed,
        reason=one.reason,
        since=before.since if before is not None and before.since is not None else night,
        wait=PAUSES[min(tries, len(PAUSES) - 1)],
        tries=tries,
    )


def _has_common_cause(tried: Sequence[Fared]) -> bool:
    """Whether most devices failed for the same reason, which is then the host's and not theirs."""
    reasons = Counter(without_name(one.device, one.reason) for one in tried if one.failed)
    most = max(reasons.values(), default=0)
    return most >= LEAST_COMMON and 2 * most > len(tried)
