"""What a test can make happen to a phone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.viphone.apps import Fate
from tests.viphone.trust import Dialog

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone


class Faults:
    """Faults on demand, one call each; most last until they are undone. What the user switches is in `IPhoneState`."""

    def __init__(self, phone: VirtualIPhone) -> None:
        self._phone = phone
        self._lock = threading.Lock()
        self._half_replies = 0
        self.start_nothing = False
        self.silent_listapps = False
        """The old command of CoreDevice that lists apps never answers, as on iOS 26."""

    def drop_now(self) -> None:
        """Pull the cable and put it back at once; the phone comes back under another number."""
        self._phone.unplug()
        self._phone.plug()

    def drop_after_bytes(self, count: int, *, comes_back: bool = True) -> None:
        """Pull the cable once, at exactly this byte, both directions counted together."""
        self._phone.comes_back = comes_back
        self._phone.cable.drop_after_bytes = count

    def unplug(self) -> None:
        """Pull the cable until `plug`."""
        self._phone.unplug()

    def plug(self) -> None:
        """Put the cable back."""
        self._phone.plug()

    def hang(self, hanging: bool = True) -> None:
        """Stop answering, while usbmuxd still lists the phone."""
        self._phone.cable.hang = hanging

    def slow(self, bytes_per_second: float | None) -> None:
        """Limit the speed of the cable; None restores it."""
        self._phone.cable.bytes_per_second = bytes_per_second

    def trust(self, dialog: Dialog) -> None:
        """What the user does about the trust dialog; anything but trusting forgets all computers first."""
        if dialog is not Dialog.TRUST:
            self._phone.trust.forget()
        self._phone.trust.dialog = dialog

    def full(self, free_bytes: int = 0) -> None:
        """Leave this much space on the storage, as lockdownd reports it too."""
        self._phone.state.capacity_bytes = self._phone.storage.used_bytes() + free_bytes

    def full_after_bytes(self, count: int) -> None:
        """Accept this many more bytes; then the storage is full although more was reported as free."""
        self._phone.storage.full_after_bytes = count

    def make_room(self, capacity_bytes: int) -> None:
        """Give the storage this size."""
        self._phone.storage.full_after_bytes = None
        self._phone.state.capacity_bytes = capacity_bytes

    def kill_app_for_memory(self, *, after_s: float = 0.0) -> None:
        """Make jetsam kill the running app, or else the next one, this long after its start."""
        self._phone.apps.afflict(Fate.JETSAM, after_s=after_s)

    def crash_app(self, *, after_s: float = 0.0) -> None:
        """Crash the running app, or else the next one."""
        self._phone.apps.afflict(Fate.CRASH, after_s=after_s)

    def half_reply(self, times: int = 1) -> None:
        """Return only half of the next replies that are read from an app."""
        with self._lock:
            self._half_replies = times

    def clip(self, path: Path, data: bytes) -> bytes:
        """What a read of that file returns."""
        with self._lock:
            if path.name != "reply.json" or not self._half_replies or not data:
                return data
            self._half_replies -= 1
        return data[: len(data) // 2]

    def restart(self, *, down_s: float = 0.3) -> None:
        """Restart the phone: it is away for so long, then waits for its passcode if it has one."""
        self._phone.restart(down_s=down_s)

    def clock_jump(self, seconds: float) -> None:
        """Move the phone's wall clock."""
        self._phone.state.clock_offset_s += seconds

    def no_image(self) -> None:
        """Unmount the developer image."""
        self._phone.images.unmount()

    def kill_tunnel(self) -> None:
        """Cut the tunnels alone; the cable stays."""
        self._phone.cut_tunnels()
