"""The part of Android that the phone has: what the commands of its shell read and change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.vphone.apps import Apps
from tests.vphone.jail import Jail
from tests.vphone.logs import Log
from tests.vphone.packages import Packages
from tests.vphone.state import PhoneState


@dataclass(slots=True, kw_only=True)
class ServiceFaults:
    """Faults of the phone's services; may be changed at any time.

    ``half_replies``: how many of the next files that are read through a provider come back cut in half.
    ``silent_provider``: every read reports a missing file, even for files that exist.
    ``no_start``: the activity manager takes the command to start an app and starts nothing, as some makers' rules do.
    ``no_background``: no process of an app is started for its provider while the app is not in front.
    """

    half_replies: int = 0
    silent_provider: bool = False
    no_background: bool = False
    no_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The services of one phone."""

    state: PhoneState
    jail: Jail
    log: Log
    packages: Packages
    apps: Apps
    reboot: Callable[[], None]
    faults: ServiceFaults = field(default_factory=ServiceFaults)
    tracers: list[int] = field(default_factory=list)

    def now_s(self) -> float:
        """The phone's wall clock, in seconds since 1970."""
        return time.time() + self.state.clock_offset_s
