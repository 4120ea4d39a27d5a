"""The device kinds, one row each, and everything that is asked by device key: ``host``, ``fake:NAME``, ``android``.

Only this module finds the kind of a key. To add a kind, write its `DeviceKind` in a folder or file of its own and list
it in `DEVICE_KINDS`; the rest of the package reads what it needs from the row.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.devices.android.kind import ANDROID
from harness.devices.fake.kind import FAKE
from harness.devices.host.kind import HOST
from harness.devices.ios.kind import IOS
from harness.devices.kind import DeviceKind
from harness.devices.own.kind import OWN
from harness.devices.ssh.kind import SSH
from harness.devices.web.kind import WEB
from harness.devices.wishes import Candidate, choose
from harness.errors import DeviceError, UnknownNameError
from harness.spec.wish import is_wish, read_wish

if TYPE_CHECKING:
    from harness.devices.device import Device
    from harness.plan.plan import Offer
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate

DEVICE_KINDS: dict[str, DeviceKind] = {kind.name: kind for kind in (HOST, OWN, FAKE, ANDROID, IOS, SSH, WEB)}


def kind_of(key: str) -> DeviceKind:
    """Return the kind of a device key, which is checked.

    Raises `UnknownNameError` for an unknown kind, and what the kind raises for a name that none of its devices has.
    """
    name = key.partition(":")[0]
    kind = DEVICE_KINDS.get(name)
    if kind is None:
        raise UnknownNameError(name, kind="device kind", allowed=DEVICE_KINDS, where=repr(key))
    kind.check_key(key)
    return kind


def kind_of_key(key: str) -> DeviceKind:
    """Return the kind of a device key or of a wish such as ``android[ram>=8]:any``. Raises as `kind_of` does."""
    if not is_wish(key):
        return kind_of(key)
    wish = read_wish(key)
    if wish.kind not in DEVICE_KINDS:
        raise UnknownNameError(wish.kind, kind="device kind", allowed=DEVICE_KINDS, where=repr(key))
    return DEVICE_KINDS[wish.kind]


def open_device(key: str, settings: PhoneSettings | None = None) -> AbstractContextManager[Device]:
    """Return the device of ``key``, to be entered by ``with``, which cleans it up.

    ``settings`` default to those of a device as it is. Raises as `kind_of` does, and `DeviceError` on entry when the
    device is missing or unfit.
    """
    from harness.spec.phone_settings import DEFAULT_SETTINGS

    return kind_of(key).open(key, settings or DEFAULT_SETTINGS)


def expand_devices(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``keys`` with each that stands for connected devices replaced by their own keys, without duplicates.

    Raises `DeviceError` when a key stands for no device.
    """
    return tuple(dict.fromkeys(own for key in keys for own in _expand(key)))


def _expand(key: str) -> tuple[str, ...]:
    kind = kind_of_key(key)
    if not is_wish(key):
        return kind.expand(key)
    return choose(read_wish(key), [Candidate(info=info) for info in kind.infos() if not info.details.get("action")])


def delegates_of(key: str) -> tuple[Delegate, ...]:
    """Return what the device of ``key`` can run a model on. Raises as `kind_of` does."""
    return kind_of(key).delegates(key)


def offer_of(key: str) -> Offer:
    """Return what the device of ``key`` can run, format by format where that differs. Raises as `kind_of` does."""
    from harness.plan.plan import Offer

    kind = kind_of(key)
    formats = kind.formats(key) if kind.formats else None
    return Offer(delegates=kind.delegates(key), formats=formats, language=kind.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceListing:
    """The devices of one kind that are there now; ``note`` says why there are none, empty otherwise."""

    infos: tuple[DeviceInfo, ...]
    note: str


def list_devices() -> tuple[DeviceListing, ...]:
    """Return one listing per kind. A kind that cannot be asked, such as one without its tools, says so in its note."""
    return tuple(_listing(kind) for kind in DEVICE_KINDS.values())


def _listing(kind: DeviceKind) -> DeviceListing:
    try:
        infos = kind.infos()
    except DeviceError as error:
        # One kind without its tools must not hide the devices of the others.
        return DeviceListing(infos=(), note=str(error))
    return DeviceListing(infos=infos, note="" if infos else kind.absent)


def example_keys(*, groups: bool = False) -> tuple[str, ...]:
    """Return the example keys of every kind for ``--help``; with ``groups``, also those that stand for several."""
    kinds = DEVICE_KINDS.values()
    return tuple(key for kind in kinds for key in (*kind.examples, *(kind.group_examples if groups else ())))
