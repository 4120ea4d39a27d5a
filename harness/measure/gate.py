"""Whether a device is fit for a launch, and whether what came of it can be believed: the protocol's gate and discards.

The one decision: judging is pure (`why_wait`, `why_refuse`, `why_discard`) and waiting is the device's own (`rest`),
so that a scripted phone cools down at once and the rules are the same for every device.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.devices.device import Device
from harness.errors import DeviceError
from harness.records.device import Readiness
from harness.records.measurement import GateFacts, GateOutcome
from harness.spec.profiles import Profile
from harness.wire import StateSample

COOL = "none"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """When a launch may begin and when it counts; seconds, °C, percent, and ratios to the best probe of the device.

    The wait looks every ``poll_s``, takes ``least_s`` at the least and ``most_s`` at the most. ``rest_s`` is the pause
    before a launch is tried again. ``battery_spread_c``: how far from the first launch of the cell.
    """

    poll_s: float
    least_s: float
    most_s: float
    rest_s: float
    probe_before: float
    probe_after: float
    battery_c: float = 35.0
    battery_refuse_c: float = 37.0
    battery_spread_c: float = 1.5
    battery_percent: float = 30.0
    battery_refuse_percent: float = 25.0
    hottest_c: float | None = None
    busy: float | None = None


PHONE = GateLimits(poll_s=10, least_s=10, most_s=300, rest_s=90, probe_before=1.05, probe_after=1.10)

# A computer with a fan does not heat up from launch to launch: what disturbs it is other work, which ends sooner or
# does not end at all. The probe of a virtual machine spreads by some percent when nothing else runs, so it gets more;
# and one that is slower afterwards tells of a neighbour at that instant, which the calls' own medians bear, and not of
# heat, which would stay: only where half of the core was gone is the launch thrown out.
COMPUTER = GateLimits(
    poll_s=1, least_s=0, most_s=15, rest_s=2, probe_before=1.15, probe_after=2.0, hottest_c=85.0, busy=0.7
)


def limits_of(device: Device) -> GateLimits:
    """Return the limits for a device."""
    return PHONE if device.passively_cooled else COMPUTER


def why_wait(now: Readiness, first: Readiness | None, best_probe_ns: int | None, limits: GateLimits) -> tuple[str, ...]:
    """Return what keeps a launch from beginning ``now``; ``first`` is the state at the cell's first launch, if any."""
    ratio = _ratio(now.probe_ns, best_probe_ns)
    found = [
        (_hot(now.thermal_status), f"thermal status is {now.thermal_status}"),
        (
            _above(now.battery_c, limits.battery_c),
            f"the battery has {now.battery_c} °C, {limits.battery_c:g} are wanted",
        ),
        (_above(now.hottest_c, limits.hottest_c), f"a sensor shows {now.hottest_c} °C, {limits.hottest_c} are wanted"),
        (_above(limits.battery_percent, now.battery_percent), f"the battery is at {now.battery_percent} %"),
        (now.power_save is True, "the device saves power"),
        (_above(ratio, limits.probe_before), f"the processor takes {ratio or 0:.2f} times its best time"),
        (_above(now.busy, limits.busy), f"other work takes {100 * (now.busy or 0):.0f} % of the processor"),
    ]
    if first is not None:
        found += [
            (
                _apart(now, first, limits),
                f"the battery is {now.battery_c} °C, at the first launch {first.battery_c} °C",
            ),
            (now.charging != first.charging, "it is charging now and was not, or the other way round"),
            (now.governor != first.governor, f"the governor is {now.governor!r}, it was {first.governor!r}"),
        ]
    return tuple(reason for applies, reason in found if applies)


def why_refuse(now: Readiness, limits: GateLimits) -> str | None:
    """Return why a launch must not begin at all, or None."""
    if _above(now.battery_c, limits.battery_refuse_c):
        return f"the battery has {now.battery_c} °C, over {limits.battery_refuse_c:g}: let the device cool"
    if _above(limits.battery_refuse_percent, now.battery_percent):
        return (
            f"the battery is at {now.battery_percent:g} %, under {limits.battery_refuse_percent:g}: charge the device"
        )
    return None


def why_discard(gate: GateFacts, watch: Sequence[StateSample], limits: GateLimits) -> tuple[str, ...]:
    """Return why a launch between ``gate.before`` and ``gate.after`` cannot be believed; empty when it can."""
    before, after = gate.before, gate.after
    if before is None or after is None:
        return ()
    ratio = _ratio(after.probe_ns, gate.best_probe_ns)
    hot = next((s.thermal_status for s in watch if _hot(s.thermal_status)), None)
    hot = after.thermal_status if hot is None and _hot(after.thermal_status) else hot
    found = [
        (hot is not None and not _hot(before.thermal_status), f"thermal status rose to {hot}"),
        (_above(ratio, limits.probe_after), f"afterwards the processor took {ratio or 0:.2f} times its best time"),
        (before.foreground != after.foreground, "another app came to the front"),
        (before.screen != after.screen, "the screen was switched"),
    ]
    return tuple(reason for applies, reason in found if applies)


class Gate:
    """The gate of one device: it remembers the best probe, and the state at the first launch of the present cell."""

    def __init__(self, device: Device, *, best_probe_ns: int | None = None) -> None:
        self.device = device
        self._limits = limits_of(device)
        self._first: Readiness | None = None
        # Whether a launch has run since the device last rested.
        self._ran = False
        self._timeouts = 0
        self.best_probe_ns = best_probe_ns

    def begin_cell(self) -> None:
        """Forget the first launch of the cell before."""
        self._first = None

    def wait(self, profile: Profile) -> GateFacts:
        """Wait as ``profile`` says and return how it went. Raises `DeviceError` when the device must not run at all."""
        ran, self._ran = self._ran, True
        if not profile.gate:
            return self._cool_down(profile, ran=ran)
        limits, waited = self._limits, 0.0
        if limits.least_s and ran:
            waited = self._rest(limits.least_s)
        told: dict[str, None] = {}
        while True:
            now = self._read()
            reasons = why_wait(now, self._first, self.best_probe_ns, limits)
            told.update(dict.fromkeys(reasons))
            if not reasons or waited >= self._patience_s():
                break
            waited += self._rest(limits.poll_s)
        self._refuse(now)
        self._first = self._first or now
        outcome = GateOutcome.TIMEOUT if reasons else GateOutcome.OPEN
        self._timeouts = self._timeouts + 1 if reasons else 0
        return GateFacts(outcome=outcome, waited_s=waited, reasons=tuple(told), before=now)

    def after(self, gate: GateFacts, watch: Sequence[StateSample]) -> tuple[GateFacts, tuple[str, ...]]:
        """Look at the device after a launch; return the whole record, and why the launch must be discarded."""
        if gate.before is None:
            return gate, ()
        whole = replace(gate, after=self._read(), best_probe_ns=self.best_probe_ns)
        return whole, why_discard(whole, watch, self._limits)

    def idled(self) -> None:
        """Take note that the last launch ran nothing: the wait before it counts for the next one as well."""
        self._ran = False

    def rest(self) -> None:
        """Pause before a launch is tried again."""
        self._rest(self._limits.rest_s)

    def forget_probe(self) -> None:
        """Give up the best probe: it was of a device that does not come back (as androidx benchmark does)."""
        self.best_probe_ns = None

    def _patience_s(self) -> float:
        """How long to wait: heat always leaves in the end, but work of others that did not end twice will not now."""
        limits = self._limits
        return limits.most_s if self.device.passively_cooled else limits.most_s / 4**self._timeouts

    def _cool_down(self, profile: Profile, *, ran: bool) -> GateFacts:
        """The plain pause of profiles without a gate; where nothing ran there is nothing to cool."""
        waited = 0.0
        if self.device.passively_cooled and ran and profile.cool_down_ns:
            waited = self._rest(profile.cool_down_ns / 1e9)
        before = self._read() if profile.retries else None
        return GateFacts(outcome=GateOutcome.NONE, waited_s=waited, before=before)

    def _read(self) -> Readiness:
        now = self.device.readiness()
        if now.probe_ns is not None:
            self.best_probe_ns = min(now.probe_ns, self.best_probe_ns or now.probe_ns)
        return now

    def _refuse(self, now: Readiness) -> None:
        reason = why_refuse(now, self._limits)
        if reason is not None:
            msg = f"device {self.device.info.key!r} is not fit to be measured: {reason}"
            raise DeviceError(msg)

    def _rest(self, seconds: float) -> float:
        log.info("waiting %g s for %s", seconds, self.device.info.key)
        self.device.rest(seconds)
        return seconds


def _hot(status: str | None) -> bool:
    return status is not None and status != COOL


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def _apart(now: Readiness, first: Readiness, limits: GateLimits) -> bool:
    if now.battery_c is None or first.battery_c is None:
        return False
    return abs(now.battery_c - first.battery_c) > limits.battery_spread_c


def _ratio(probe_ns: int | None, best_ns: int | None) -> float | None:
    return probe_ns / best_ns if probe_ns is not None and best_ns else None
