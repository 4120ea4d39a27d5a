"""Device keys that stand for whichever phones are connected."""

from __future__ import annotations

import logging

from harness.devices.android.adb.link import Server
from harness.devices.android.adb.network import revived_phones
from harness.devices.android.adb.server import ALL, choose_phone, ensure_server, phone_key, server_of
from harness.devices.android.advice import advice_for, named
from harness.devices.kind import name_in

log = logging.getLogger(__name__)


def expand_key(key: str, server: Server | None = None) -> tuple[str, ...]:
    """Return ``android:SERIAL`` for the only phone, or for each phone of ``android:all``; any other key unchanged.

    A run stores the serials of its phones, so resuming it never picks another phone. ``android:all`` leaves out phones
    that cannot be used now, with a warning for each. Raises `PhoneError` if none can.
    """
    name = name_in(key)
    if name not in (None, ALL):
        return (key,)
    where = server or server_of()
    ensure_server(where)
    phones = revived_phones(where, "")
    if name != ALL:
        return (phone_key(choose_phone(phones, "").serial),)
    ready = tuple(phone for phone in phones if phone.trouble is None)
    if not ready:
        # Choosing one raises what is wrong with the first.
        return (phone_key(choose_phone(phones[:1], "").serial),)
    for phone in phones:
        if phone.trouble is not None:
            log.warning(
                "%s is %s and is left out; %s",
                named(phone.serial),
                phone.state,
                advice_for(phone.trouble, phone.serial),
            )
    return tuple(phone_key(phone.serial) for phone in ready)
