"""The gate before a launch: whether the device is fit for it, and afterwards whether the launch counts.

The rules are pure functions (`why_wait`, `why_refuse`, `why_discard`); the device itself does the waiting (`rest`). So
the rules are the same for every device, and a scripted phone cools down at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.devices.device import Device
from harness.errors import DeviceError
from harness.records.device import Readiness
from harness.records.measurement import GateFacts, GateOutcome
from harness.spec.profiles import Profile
from harness.wire import StateSample

# The thermal status of Android that means no throttling; a device without a status reports None.
COOL = "none"
# How long a wait may be silent, in seconds.
NOTE_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """When a launch may start and when it counts. Units: seconds, °C, percent, and ratios to the device's best probe.

    The gate waits at least ``least_s`` and at most ``most_s``, and checks the device every ``poll_s``. ``rest_s`` is
    the pause before a launch is repeated. ``battery_spread_c`` is the largest difference to the cell's first launch.
    ``busy`` is the largest share (0…1) of the processor that other work may take.
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


# The numbers of the protocol in docs/measurement.md. A phone cools within minutes, hence the long wait and rest.
PHONE = GateLimits(poll_s=10, least_s=10, most_s=300, rest_s=90, probe_before=1.05, probe_after=1.10)

# A computer with a fan does not heat up from launch to launch. What disturbs it is other work, which ends soon or not
# at all, so waiting long is pointless. On a virtual machine the probe varies by some percent even when nothing else
# runs, so its limit is wider. A slow probe after a launch means a neighbour at that moment, which the median of the
# calls tolerates; unlike heat, it does not last. So a launch is discarded only when half of the core was gone.
COMPUTER = GateLimits(
    poll_s=1, least_s=0, most_s=15, rest_s=2, probe_before=1.15, probe_after=2.0, hottest_c=85.0, busy=0.7
)


def limits_of(device: Device) -> GateLimits:
    """Return the limits for a device: those of a phone if it has no fan."""
    return PHONE if device.passively_cooled else COMPUTER


def why_wait(now: Readiness, first: Readiness | None, best_probe_ns: int | None, limits: GateLimits) -> tuple[str, ...]:
    """Return why a launch must not start yet; ``first`` is the state before the cell's first launch, None if none."""
    ratio = _ratio(now.probe_ns, best_probe_ns)
    checks = [
        (_hot(now.thermal_status), f"thermal status is {now.thermal_status}"),
        (
            _above(now.battery_c, limits.battery_c),
            f"battery is at {now.battery_c} °C; the limit is {limits.battery_c:g} °C",
        ),
        (
            _above(now.hottest_c, limits.hottest_c),
            f"a sensor shows {now.hottest_c} °C; the limit is {limits.hottest_c} °C",
        ),
        (
            _above(limits.battery_percent, now.battery_percent),
            f"battery is at {now.battery_percent} %; the limit is {limits.battery_percent:g} %",
        ),
        (now.power_save is True, "power saving is on"),
        (_above(ratio, limits.probe_before), f"the processor takes {ratio or 0:.2f} times its best time"),
        (_above(now.busy, limits.busy), f"other work takes {100 * (now.busy or 0):.0f} % of the processor"),
    ]
    if first is not None:
        checks += [
            (
                _apart(now, first, limits),
                f"battery is at {now.battery_c} °C; it was at {first.battery_c} °C before the first launch, "
                f"and may differ by {limits.battery_spread_c:g} °C",
            ),
            (now.charging != first.charging, "charging has started or stopped since the first launch"),
            (
                now.governor != first.governor,
                f"the governor is {now.governor!r}; it was {first.governor!r} before the first launch",
            ),
        ]
    return tuple(reason for applies, reason in checks if applies)


def why_refuse(now: Readiness, limits: GateLimits) -> str | None:
    """Return why a launch must not start at all, or None."""
    if _above(now.battery_c, limits.battery_refuse_c):
        return (
            f"battery is at {now.battery_c} °C, above the limit of {limits.battery_refuse_c:g} °C: let the device cool"
        )
    if _above(limits.battery_refuse_percent, now.battery_percent):
        return (
            f"battery is at {now.battery_percent:g} %, below the limit of {limits.battery_refuse_percent:g} %: "
            "charge the device"
        )
    return None


def why_discard(gate: GateFacts, watch: Sequence[StateSample], limits: GateLimits) -> tuple[str, ...]:
    """Return why the launch between ``gate.before`` and ``gate.after`` does not count; empty if it does."""
    before, after = gate.before, gate.after
    if before is None or after is None:
        return ()
    ratio = _ratio(after.probe_ns, gate.best_probe_ns)
    hot = next((s.thermal_status for s in watch if _hot(s.thermal_status)), None)
    hot = after.thermal_status if hot is None and _hot(after.thermal_status) else hot
    checks = [
        (hot is not None and not _hot(before.thermal_status), f"thermal status rose to {hot}"),
        (_above(ratio, limits.probe_after), f"afterwards the processor took {ratio or 0:.2f} times its best time"),
        (before.foreground != after.foreground, "another app came to the front"),
        (before.screen != after.screen, "the screen was switched on or off"),
        (before.charging != after.charging, "charging started or stopped"),
    ]
    return tuple(reason for applies, reason in checks if applies)


class Gate:
    """The gate of one device. It remembers the best probe and the state before the current cell's first launch."""

    def __init__(
        self, device: Device, *, best_probe_ns: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.device, self._clock = device, clock
        self._limits = limits_of(device)
        self._first: Readiness | None = None
        # Whether a launch has run since the device last rested: only then is there heat to wait for.
        self._ran = False
        self._timeouts = 0
        self.best_probe_ns = best_probe_ns

    def begin_cell(self) -> None:
        """Forget the first launch of the previous cell."""
        self._first = None

    def wait(self, profile: Profile) -> GateFacts:
        """Wait as ``profile`` says and return how it went. Raises `DeviceError` if the device must not run at all."""
        ran, self._ran = self._ran, True
        if not profile.gate:
            return self._cool_down(profile, ran=ran)
        limits, waited = self._limits, 0.0
        if limits.least_s and ran:
            waited = self._rest(limits.least_s)
        every_reason: dict[str, None] = {}
        noted_s = self._clock()
        while True:
            now = self._read()
            reasons = why_wait(now, self._first, self.best_probe_ns, limits)
            every_reason.update(dict.fromkeys(reasons))
            if not reasons or waited >= self._patience_s():
                break
            if self._clock() - noted_s >= NOTE_S:
                noted_s = self._clock()
                self._note(now, reasons, waited)
            waited += self._rest(limits.poll_s)
        self._refuse(now)
        self._first = self._first or now
        outcome = GateOutcome.TIMEOUT if reasons else GateOutcome.OPEN
        self._timeouts = self._timeouts + 1 if reasons else 0
        return GateFacts(outcome=outcome, waited_s=waited, reasons=tuple(every_reason), before=now)

    def after(self, gate: GateFacts, watch: Sequence[StateSample]) -> tuple[GateFacts, tuple[str, ...]]:
        """Check the device after a launch; return the completed record, and why the launch must be discarded."""
        if gate.before is None:
            return gate, ()
        whole = replace(gate, after=self._read(), best_probe_ns=self.best_probe_ns)
        return whole, why_discard(whole, watch, self._limits)

    def idled(self) -> None:
        """Note that the last launch ran nothing, so that the next one need not wait again."""
        self._ran = False

    def rest(self) -> None:
        """Pause before a launch is repeated."""
        self._rest(self._limits.rest_s)

    def forget_probe(self) -> None:
        """Forget the best probe: the device no longer reaches that speed (androidx benchmark does the same)."""
        self.best_probe_ns = None

    def _patience_s(self) -> float:
        """How long to wait at most. Heat always goes away; other work that outlasted earlier waits probably stays."""
        limits = self._limits
        return limits.most_s if self.device.passively_cooled else limits.most_s / 4**self._timeouts

    def _cool_down(self, profile: Profile, *, ran: bool) -> GateFacts:
        """Make the plain pause of a profile without a gate. After a launch that ran nothing, there is no heat."""
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
            msg = f"device {self.device.info.key!r} is not fit to measure: {reason}"
            raise DeviceError(msg)

    def _note(self, now: Readiness, reasons: tuple[str, ...], waited_s: float) -> None:
        """Say what is waited for. The temperature is part of it even where only another value has a limit."""
        heat = f" (battery at {now.battery_c:g} °C)" if now.battery_c is not None else ""
        why = "; ".join(reasons) + (heat if not any("battery is at" in reason for reason in reasons) else "")
        key, most_s = self.device.info.key, self._patience_s()
        log.warning("waiting for %s: %s; %.0f s so far, at most %.0f s", key, why, waited_s, most_s)

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
