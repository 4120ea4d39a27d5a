"""Revives phones on the network that the adb server has lost.

A server connects to such a phone once and then only keeps the connection. After the phone's daemon has restarted,
server 29 lists the phone as offline forever, and answers a request to connect with "already connected".
"""

from __future__ import annotations

import logging
import time

from harness.devices.android.adb.deadline import within
from harness.devices.android.adb.link import Link, Server
from harness.devices.android.adb.serials import is_network
from harness.devices.android.adb.server import ListedPhone, list_phones
from harness.errors import PhoneError, PhoneTrouble

ASK_S = 10.0
# A phone may be offline for a moment while the server reconnects by itself.
PATIENCE_S = 2.0
_REVIVED_S = 5.0
_PAUSE_S = 0.1

log = logging.getLogger(__name__)


def connect(server: Server, serial: str) -> None:
    """Make the server connect to a phone on the network. What comes of it is seen in the server's list."""
    _ask(server, f"host:connect:{serial}")


def disconnect(server: Server, serial: str) -> None:
    """Make the server forget a phone on the network, so that it can be connected again."""
    _ask(server, f"host:disconnect:{serial}")


def revived_phones(server: Server, serial: str) -> tuple[ListedPhone, ...]:
    """Return the phones that the server lists, after reviving phones on the network that it lists as offline.

    With a ``serial`` only that phone is revived; it may also be missing from the list. Raises `PhoneError`.
    """
    phones = list_phones(server)
    lost = _lost(phones, serial)
    if not lost:
        return phones
    # One that is listed may reconnect by itself.
    if any(phone.serial in lost for phone in phones):
        phones = _wait(server, serial, PATIENCE_S)
    for name in (lost := _lost(phones, serial)):
        disconnect(server, name)
        connect(server, name)
    return _wait(server, serial, _REVIVED_S) if lost else phones


def _lost(phones: tuple[ListedPhone, ...], serial: str) -> tuple[str, ...]:
    """Return the serials of phones on the network that have to be revived."""
    offline = tuple(phone.serial for phone in phones if phone.trouble is PhoneTrouble.OFFLINE)
    missing = (serial,) if serial and all(phone.serial != serial for phone in phones) else ()
    return tuple(name for name in (*offline, *missing) if is_network(name) and serial in ("", name))


def _wait(server: Server, serial: str, seconds: float) -> tuple[ListedPhone, ...]:
    """Return the list as soon as no phone is lost, at the latest after ``seconds``."""
    ends_at = time.monotonic() + seconds
    while True:
        phones = list_phones(server)
        if not _lost(phones, serial) or time.monotonic() >= ends_at:
            return phones
        time.sleep(_PAUSE_S)


def _ask(server: Server, service: str) -> None:
    try:
        with Link(server, within(ASK_S), purpose=service) as link:
            link.request(service)
            log.info("%s: %s", service, link.text())
    except PhoneError as error:
        log.info("%s failed: %s", service, error)
