"""What a device is, and how ready it is before and after a launch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """What a device is; these facts do not change during a run. ``key`` is what the user typed (``android:SERIAL``).

    ``details`` is what one kind tells and others do not; a phone's ``page_bytes`` is the size of its memory's pages.
    """

    key: str
    kind: str
    model: str
    os: str
    cpu: str
    cores: int
    memory_bytes: int
    abi: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What a device tells of itself before and after a launch; what it does not tell is None.

    ``thermal_status`` is ``none`` or a word for how hot; ``hottest_c`` the hottest sensor; ``probe_ns`` the least time
    of a fixed piece of arithmetic on one core; ``busy`` the share (0…1) of all cores that something is using.
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
