"""Asks usbmuxd which iPhones are connected, without the driver: one question in a few milliseconds.

usbmuxd speaks property lists over a socket of this computer, each after a header of four numbers: the length with the
header, the version, the kind of message and a tag.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.worker.address import address_text, read_address
from harness.errors import IosError, IosTrouble

ALL = "all"
_HEADER = struct.Struct("<IIII")
_PLIST_VERSION, _PLIST_MESSAGE = 1, 8
_MOST_BYTES = 16 << 20
_SECONDS = 3.0
_CABLE = "USB"
_WAYS = (_CABLE, "Network")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPhone:
    """An iPhone by its UDID, on a cable or, with ``by_name``, over Wi-Fi: that one is used only where it is named."""

    udid: str
    by_name: bool = False


def usbmuxd_address(environment: Mapping[str, str] = os.environ) -> str:
    """Return ``HOST:PORT`` or the path of a socket."""
    return address_text(environment)


def has_usbmuxd(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether usbmuxd may be there; no connection is made."""
    path = read_address(usbmuxd_address(environment)).path
    # Unlike Path.exists, this is False for a path that is too long or that this user may not look at.
    return not path or os.path.exists(path)  # noqa: PTH110


def list_phones(environment: Mapping[str, str] = os.environ) -> tuple[ListedPhone, ...]:
    """Return the iPhones and iPads that usbmuxd has, each once, those on a cable first.

    Raises `IosError` if usbmuxd does not answer.
    """
    listed = _listed(_ask(environment, {"MessageType": "ListDevices"}))
    if listed is None:
        what = f"usbmuxd at {usbmuxd_address(environment)!r} answers without a list of devices"
        raise ios_error(IosTrouble.NO_USBMUXD, what)
    ways = {way: [udid for udid, one in listed if one == way] for way in _WAYS}
    phones = [(udid, way) for way in _WAYS for udid in ways[way] if way == _CABLE or udid not in ways[_CABLE]]
    return tuple(ListedPhone(udid=udid, by_name=way != _CABLE) for udid, way in dict.fromkeys(phones))


def _listed(answer: Any) -> list[tuple[str, Any]] | None:
    """Return the UDID of each device with its way of connection, without those that have none; None without a list."""
    entries = answer.get("DeviceList") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        return None
    facts = [entry.get("Properties") for entry in entries if isinstance(entry, dict)]
    named_by = [(one.get("SerialNumber"), one.get("ConnectionType")) for one in facts if isinstance(one, dict)]
    return [(udid, way) for udid, way in named_by if isinstance(udid, str) and udid and udid.isprintable()]


def udids_there(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the UDIDs of the iPhones on a cable; none if usbmuxd is missing or does not answer."""
    return tuple(phone.udid for phone in _phones_there(environment) if not phone.by_name)


def _phones_there(environment: Mapping[str, str]) -> tuple[ListedPhone, ...]:
    if not has_usbmuxd(environment):
        return ()
    try:
        return list_phones(environment)
    except IosError:
        return ()


def choose_phone(phones: tuple[ListedPhone, ...], name: str) -> ListedPhone:
    """Return the iPhone called ``name``, or the only one if that is empty. Raises `IosError`."""
    phones = tuple(phone for phone in phones if name or not phone.by_name)
    if not phones:
        what = f"{named(name)} is not connected" if name else "no iPhone is connected"
        raise ios_error(IosTrouble.NO_PHONE, what, udid=name)
    matching = tuple(phone for phone in phones if not name or plain_udid(phone.udid) == plain_udid(name))
    listed = ", ".join(phone.udid for phone in phones)
    if not matching:
        what = f"{named(name)} is not connected; connected: {listed}"
        raise ios_error(IosTrouble.NO_PHONE, what, udid=name)
    if len(matching) > 1:
        raise ios_error(IosTrouble.SEVERAL, f"{len(matching)} iPhones are connected: {listed}")
    return matching[0]


def expand_key(key: str) -> tuple[str, ...]:
    """Return the keys that ``ios:all`` stands for, or the key of the only iPhone for ``ios``. Raises `IosError`."""
    kind, _, name = key.partition(":")
    if name not in ("", ALL):
        return (key,)
    phones = tuple(phone for phone in list_phones() if not phone.by_name)
    if name == ALL and phones:
        return tuple(f"{kind}:{phone.udid}" for phone in phones)
    return (f"{kind}:{choose_phone(phones, '').udid}",)


def is_listed(udid: str) -> bool:
    """Return whether an iPhone is connected; False if usbmuxd does not answer."""
    return any(phone.udid == udid for phone in _phones_there(os.environ))


def plain_udid(udid: str) -> str:
    """Return a UDID for comparing: people and programs write it with and without the hyphen, and in either case."""
    return udid.replace("-", "").lower()


def _ask(environment: Mapping[str, str], question: dict[str, Any]) -> Any:
    import plistlib

    address = usbmuxd_address(environment)
    body = plistlib.dumps(question | {"ClientVersionString": "phonebench", "ProgName": "phonebench"})
    ends_at = time.monotonic() + _SECONDS
    try:
        with _connect(address) as link:
            link.sendall(_HEADER.pack(_HEADER.size + len(body), _PLIST_VERSION, _PLIST_MESSAGE, 1) + body)
            length = _HEADER.unpack(_exactly(link, _HEADER.size, ends_at))[0] - _HEADER.size
            if not 0 <= length <= _MOST_BYTES:
                msg = f"an answer of {length} bytes"
                raise ValueError(msg)
            return plistlib.loads(_exactly(link, length, ends_at))
    except PermissionError as error:
        what = f"this user may not connect to usbmuxd at {address!r} ({error.strerror})"
        advice = "give this user the right to read and write that socket"
        raise ios_error(IosTrouble.NO_USBMUXD, what, advice=advice) from error
    except OSError as error:
        what = f"usbmuxd does not answer at {address!r} ({error.strerror or error})"
        raise ios_error(IosTrouble.NO_USBMUXD, what) from error
    # plistlib raises whatever its parser raises for bytes that are no property list.
    except Exception as error:
        what = f"something other than usbmuxd answers at {address!r} ({error})"
        raise ios_error(IosTrouble.NO_USBMUXD, what) from error


def _connect(text: str) -> socket.socket:
    address = read_address(text)
    if address.host:
        return socket.create_connection((address.host, address.port), timeout=_SECONDS)
    link = socket.socket(address.family, socket.SOCK_STREAM)
    link.settimeout(_SECONDS)
    try:
        link.connect(address.path)
    except BaseException:
        link.close()
        raise
    return link


def _exactly(link: socket.socket, size: int, ends_at: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        # For the whole answer: a daemon that sends a byte now and then would otherwise be waited for without end.
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(None, "timed out")
        link.settimeout(left_s)
        part = link.recv(size - len(data))
        if not part:
            raise ConnectionResetError(None, "it closed the connection")
        data += part
    return bytes(data)
