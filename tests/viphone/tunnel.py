"""CoreDeviceProxy: a tunnel of IPv6 packets over one connection, and the services at its other end (RSD)."""

from __future__ import annotations

import json
import struct
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.viphone import coredevice, instruments
from tests.viphone.cable import Cable
from tests.viphone.http2 import XpcServer
from tests.viphone.link import HungUpError, Link
from tests.viphone.lockdown import Lockdown
from tests.viphone.services import Service, services_of
from tests.viphone.tcp import IPV6, Connection, Stack
from tests.viphone.xpc import Unsigned

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

MAGIC = b"CDTunnel"
HERE, THERE, PREFIX = "fd71:aaaa:bbbb::1", "fd71:aaaa:bbbb::2", "ffff:ffff:ffff:ffff::"
RSD_PORT, FIRST_PORT = 58783, 50000
MTU_BYTES = 16000
HUB = "com.apple.instruments.dtservicehub"
TRUSTED = "com.apple.mobile.lockdown.remote.trusted"

# What serves a connection until it ends.
Serve = Callable[[Link], None]


def serve(phone: VirtualIPhone, link: Link) -> None:
    """Shake hands, then carry packets until the connection ends."""
    phone.is_tunnel(link)
    _shake_hands(link)
    ends = Ends(phone)
    stack = Stack(HERE, THERE, link.send, ends.listener)
    try:
        while True:
            header = link.receive(IPV6.size)
            stack.take(header, link.receive(IPV6.unpack(header)[1]))
    finally:
        stack.close()


def _shake_hands(link: Link) -> None:
    magic, size = struct.unpack("!8sH", link.receive(10))
    request = json.loads(link.receive(size)) if magic == MAGIC else {}
    if request.get("type") != "clientHandshakeRequest":
        msg = f"not the greeting of a tunnel: {magic!r}"
        raise HungUpError(msg)
    mtu = min(int(request.get("mtu", MTU_BYTES)), MTU_BYTES)
    said = {
        "type": "serverHandshakeResponse",
        "clientParameters": {"address": THERE, "mtu": mtu, "netmask": PREFIX},
        "serverAddress": HERE,
        "serverRSDPort": RSD_PORT,
    }
    data = json.dumps(said).encode()
    link.send(struct.pack("!8sH", MAGIC, len(data)) + data)


class Ends:
    """The ports at the phone's end: one that lists the services, and one per service."""

    def __init__(self, phone: VirtualIPhone) -> None:
        self._phone = phone
        self._services = services_behind(phone)
        self._ports = {FIRST_PORT + number: name for number, name in enumerate(self._services)}

    def listener(self, port: int) -> Callable[[Connection], None] | None:
        """What serves a connection to that port, None if nobody listens."""
        if port == RSD_PORT:
            return lambda connection: self._start(connection, self._list)
        name = self._ports.get(port)
        return None if name is None else lambda connection: self._start(connection, self._services[name])

    def _start(self, connection: Connection, serve: Serve) -> None:
        # The bytes were counted on the cable already, as part of the tunnel.
        link = Link(connection, Cable())
        threading.Thread(
            target=self._phone.serve, args=(link, serve), name="service in the tunnel", daemon=True
        ).start()

    def _list(self, link: Link) -> None:
        XpcServer(link, self._answer).serve()

    def _answer(self, message: Any, server: XpcServer) -> None:
        if message.get("MessageType") == "Handshake":
            server.say(self._handshake())

    def _handshake(self) -> dict[str, Any]:
        state = self._phone.state
        services = {
            name: {"Port": str(port), "Entitlement": "com.apple.mobile.lockdown.remote.trusted", "Properties": more}
            for port, name in self._ports.items()
            for more in [{"UsesRemoteXPC": True} if name.startswith("com.apple.coredevice") else {}]
        }
        properties = {
            "BuildVersion": state.build,
            "CPUArchitecture": "arm64e",
            "DeviceClass": "iPhone",
            "HWModel": state.board,
            "OSVersion": state.ios,
            "ProductName": "iPhone OS",
            "ProductType": state.product_type,
            "RemoteXPCVersionFlags": Unsigned(0x100000000000006),
            "SerialNumber": "VIRTUAL0001",
            "UniqueDeviceID": state.udid,
        }
        return {
            "MessageType": "Handshake",
            "MessagingProtocolVersion": Unsigned(7),
            "Properties": properties,
            "Services": services,
            "UUID": uuid.uuid5(uuid.NAMESPACE_OID, state.udid),
        }


def services_behind(phone: VirtualIPhone) -> dict[str, Serve]:
    """The services at the end of a tunnel, by their names there."""
    found: dict[str, Serve] = {TRUSTED: _checked_in(lambda link: Lockdown(phone, link, trusted=True).serve())}
    for name, service in services_of(phone).items():
        if not service.image:
            found[f"{name}.shim.remote"] = _checked_in(_bound(phone, service))
    if phone.images.mounted and phone.developer_mode:
        found[HUB] = lambda link: instruments.serve(phone, link)
        for name, answer in coredevice.SERVICES.items():
            found[name] = _xpc(phone, answer)
    return found


def _bound(phone: VirtualIPhone, service: Service) -> Serve:
    return lambda link: service.serve(phone, link)


def _xpc(phone: VirtualIPhone, answer: coredevice.Answer) -> Serve:
    return lambda link: XpcServer(link, lambda message, server: answer(phone, message, server)).serve()


def _checked_in(serve: Serve) -> Serve:
    """Put the exchange before a service by which a computer says who it is."""

    def check_in(link: Link) -> None:
        if link.receive_plist().get("Request") != "RSDCheckin":
            return
        link.send_plist({"Request": "RSDCheckin"})
        link.send_plist({"Request": "StartService"})
        serve(link)

    return check_in
