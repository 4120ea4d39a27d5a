"""What a phone's serial says: one that adb reached by `adb connect` has its address as its serial."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[\w.\-\[\]:]+:\d{1,5}")


def is_network(serial: str) -> bool:
    """Return whether a serial is that of a phone on the network, ``HOST:PORT``."""
    return _ADDRESS.fullmatch(serial) is not None
