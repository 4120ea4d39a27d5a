"""Facts about a device, and its state before and after a launch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """Facts about a device that do not change during a run. ``key`` is what the user typed (``android:SERIAL``).

    ``details`` holds facts that only some device kinds have, such as a phone's ``page_bytes``, the size of its memory
    pages.
    """

    key: str
    kind: str
    model: str
    os: str
    cpu: str
    cores: int | None
    memory_bytes: int | None
    abi: str
    details: dict[str, str] = field(default_factory=dict)

    @property
    def os_build(self) -> str:
        """The build of the system: a phone reports its fingerprint, a computer its kernel, others only their system."""
        return self.details.get("build") or self.details.get("kernel") or self.os


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The state of a device before or after a launch; None for anything it does not report.

    ``thermal_status``: ``none``, or a word for how hot the device is. ``hottest_c``: the hottest sensor. ``probe_ns``:
    the shortest time of a fixed piece of arithmetic on one core, which grows when clocks are low. ``busy``: the share
    (0…1) of all cores in use.
    """

    thermal_status: str | None = None
    battery_c: float | None = None
    battery_percent: float | None = None
    charging: bool | None = None
    power_save: bool | None = None
    hottest_c: float | None = None
    probe_ns: int | None = None
    busy: float | None = None
    governor: str | None = None
    screen: str | None = None
    foreground: str | None = None
