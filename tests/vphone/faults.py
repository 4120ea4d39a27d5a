"""What a test can make happen to a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.vphone.apps import Fate

if TYPE_CHECKING:
    from tests.vphone.phone import VirtualPhone


class Faults:
    """Faults on demand, one call each; most last until they are undone."""

    def __init__(self, phone: VirtualPhone) -> None:
        self._phone = phone

    def drop_now(self) -> None:
        """Cut the connection, like a loose plug; the adb server may reconnect at once."""
        self._phone.drop()

    def drop_after_bytes(self, count: int) -> None:
        """Cut the connection once, after this many bytes of payload in both directions together."""
        self._phone.cable.drop_after_bytes = count

    def unplug(self) -> None:
        """Pull the cable: the connection is cut and there is none until `plug`."""
        self._phone.unplug()

    def plug(self) -> None:
        """Put the cable back; every adb server that knew the phone finds it again."""
        self._phone.plug()

    def hang(self, hanging: bool = True) -> None:
        """Stop answering, while the adb server still reports the state ``device``."""
        self._phone.cable.hang = hanging

    def offline(self) -> None:
        """Cut the connection and ignore greetings: the adb server reports ``offline`` until ``hang(False)``."""
        self.hang()
        self.drop_now()

    def slow(self, *, bytes_per_second: float | None = None, delay_s: float = 0.0) -> None:
        """Make the cable slow and delay each packet; without arguments, restore its speed."""
        self._phone.cable.bytes_per_second = bytes_per_second
        self._phone.cable.delay_s = delay_s

    @property
    def authorised(self) -> bool:
        """Whether computers are allowed."""
        return self._phone.door.allowed

    @authorised.setter
    def authorised(self, allowed: bool) -> None:
        """True presses "Allow" on the phone; False forgets all computers and cuts the connection."""
        if allowed:
            self._phone.door.allow()
        else:
            self._phone.door.revoke()
            self._phone.drop()

    def full(self, free_bytes: int = 0) -> None:
        """Leave this much space on /data, visible to ``df``."""
        jail = self._phone.jail
        jail.resize_data(max(jail.used_bytes() + free_bytes, 4096))

    def enospc_after_bytes(self, count: int) -> None:
        """Accept this many more pushed bytes; then the rest is taken, although ``df`` showed it as free."""
        self._phone.jail.fill_after_bytes = count

    def make_room(self) -> None:
        """Restore the size of /data."""
        self._phone.jail.fill_after_bytes = None
        self._phone.jail.resize_data(self._phone.data_bytes)

    def reboot(self, *, down_s: float = 0.3, boot_s: float = 0.5) -> None:
        """Restart the phone: it is away for ``down_s``, and reports that it has booted ``boot_s`` later."""
        self._phone.reboot(down_s=down_s, boot_s=boot_s)

    def kill_app_for_memory(self, *, after_s: float = 0.0) -> None:
        """Make lmkd kill the running app, or else the next one, this long after its start."""
        self._phone.apps.afflict(Fate.OUT_OF_MEMORY, after_s=after_s)

    def crash_app(self, *, native: bool = False, after_s: float = 0.0) -> None:
        """Crash the running app, or else the next one, by a Java exception or a signal in native code."""
        self._phone.apps.afflict(Fate.NATIVE_CRASH if native else Fate.JAVA_CRASH, after_s=after_s)

    def reclaim_door(self) -> None:
        """Make lmkd kill the idle process of every app's provider."""
        for package in self._phone.packages.all():
            self._phone.apps.reclaim(package.apk.door)

    def start_nothing(self, nothing: bool = True) -> None:
        """Take the command to start an app, and start nothing."""
        self._phone.system.faults.no_start = nothing

    def block_background(self, blocked: bool = True) -> None:
        """Start no process of an app for its provider alone, as some makers do; an app in front may be asked."""
        self._phone.system.faults.no_background = blocked

    def half_reply(self, times: int = 1) -> None:
        """Truncate the next files that are read from the app."""
        self._phone.system.faults.half_replies = times

    def silent_provider(self, silent: bool = True) -> None:
        """Make the app's provider find no files, whatever is there."""
        self._phone.system.faults.silent_provider = silent

    def clock_jump(self, seconds: float) -> None:
        """Move the phone's wall clock, as the network does when it comes back."""
        self._phone.state.clock_offset_s += seconds
