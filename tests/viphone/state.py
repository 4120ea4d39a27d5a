"""Everything that an iPhone reports about itself, in one record that a test changes while the phone runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

MIB = 1024 * 1024
BUILDS = {14: "18H17", 15: "19H12", 16: "20H19", 17: "21E219", 18: "22A3354", 26: "23A341"}
BOARDS = {"iPhone15,2": "D73AP", "iPhone12,1": "N104AP"}


def own_udid(number: int, chip: str = "00008120") -> str:
    """Return a UDID that no other test process has, because a computer measures once at a time on an iPhone."""
    return f"{chip}-{os.getpid():08X}{number:08X}"


@dataclass(kw_only=True, slots=True)
class IPhoneState:
    """What lockdownd and the services report, and what the user has switched on."""

    udid: str = field(default_factory=lambda: own_udid(1))
    name: str = "Virtual iPhone"
    product_type: str = "iPhone15,2"
    ios: str = "17.4"
    passcode: bool = True
    locked: bool = False
    """The screen is locked: files and logs are served, apps do not start and images are not mounted."""
    before_first_unlock: bool = False
    """Restarted and not unlocked yet: no service starts."""
    developer_mode: bool = True
    developer_trusted: bool = True
    """Whether the user trusted the signer of apps, which a free team needs."""
    image_mounted: bool = True
    """The developer disk image, without which there is no process control."""

    battery_percent: int = 83
    battery_capacity: object = 100
    battery_temperature_c: float = 28.5
    plugged: bool = True
    charging: bool = True
    battery_current_ma: int = -120
    battery_voltage_mv: int = 4210
    battery_cycles: int = 112
    wifi: bool = False
    """usbmuxd reaches it over the network, as after \"Show this iPhone when on Wi-Fi\"."""
    watts: Callable[[float], float] | None = None
    """What it draws at a moment of its wall clock; the gauge of its battery then counts that."""
    gauge_refresh_s: float = 20.0
    gauge_step_mah: float = 1.0

    capacity_bytes: int = 512 * MIB
    """The size of the storage; what is above it is refused for real."""
    clock_offset_s: float = 0.0
    """How far the phone's wall clock is ahead of this computer's."""
    architectures: tuple[str, ...] = ("arm64", "arm64e")
    plain_services: frozenset[str] = frozenset()
    """Services that lockdownd starts without TLS."""
    values: dict[str, object] = field(default_factory=dict)
    """Further values of lockdownd, by ``key`` or ``domain:key``; they win over those made from the fields above."""

    @property
    def ios_version(self) -> tuple[int, ...]:
        """The version of iOS as numbers."""
        return tuple(int(part) for part in self.ios.split("."))

    @property
    def build(self) -> str:
        """A build of that version."""
        return BUILDS.get(self.ios_version[0], f"{self.ios_version[0] + 4}A1")

    @property
    def board(self) -> str:
        """The name of the logic board."""
        return BOARDS.get(self.product_type, "D00AP")
