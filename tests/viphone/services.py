"""The services that lockdownd starts by name, and what each needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.viphone import afc, developer, diagnostics, house, installer, instruments, relays
from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. ``image``: it is on the developer image; ``locked``: it starts before the first unlock."""

    serve: Callable[[VirtualIPhone, Link], None]
    image: bool = False
    locked: bool = False
    since: tuple[int, ...] = (0,)
    before: tuple[int, ...] = (999,)


def _media(phone: VirtualIPhone, link: Link) -> None:
    afc.AfcSession(phone.storage.media, phone.storage).serve(link)


def _crashes(phone: VirtualIPhone, link: Link) -> None:
    afc.AfcSession(phone.storage.crashes, phone.storage).serve(link)


def _tunnel(phone: VirtualIPhone, link: Link) -> None:
    # The services at a tunnel's end are these again.
    from tests.viphone import tunnel

    tunnel.serve(phone, link)


def _move_crashes(_: VirtualIPhone, link: Link) -> None:
    """Say that all reports are where they can be copied, which they are."""
    link.send(b"ping\0")
    link.receive_some()


SERVICES: dict[str, Service] = {
    "com.apple.afc": Service(serve=_media),
    "com.apple.mobile.house_arrest": Service(serve=house.serve),
    "com.apple.mobile.installation_proxy": Service(serve=installer.serve),
    "com.apple.crashreportcopymobile": Service(serve=_crashes),
    "com.apple.internal.devicecompute.CoreDeviceProxy": Service(serve=_tunnel, since=(17, 4)),
    "com.apple.amfi.lockdown": Service(serve=developer.serve_amfi, since=(16,)),
    "com.apple.misagent": Service(serve=developer.serve_misagent),
    "com.apple.os_trace_relay": Service(serve=relays.serve_os_trace),
    "com.apple.syslog_relay": Service(serve=relays.serve_syslog),
    "com.apple.crashreportmover": Service(serve=_move_crashes),
    "com.apple.mobile.diagnostics_relay": Service(serve=diagnostics.serve),
    # The image of iOS 17 and later has Instruments behind the tunnel alone.
    "com.apple.instruments.remoteserver.DVTSecureSocketProxy": Service(
        serve=instruments.serve, image=True, before=(17,)
    ),
    "com.apple.mobile.mobile_image_mounter": Service(serve=lambda phone, link: phone.images.serve(link)),
}


def services_of(phone: VirtualIPhone) -> dict[str, Service]:
    """The services that the phone's version of iOS has."""
    ios = phone.state.ios_version
    return {name: one for name, one in SERVICES.items() if one.since <= ios < one.before}
