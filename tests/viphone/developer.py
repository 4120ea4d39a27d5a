"""Two small services for developers: the switch of developer mode, and provisioning profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone


def serve_amfi(phone: VirtualIPhone, link: Link) -> None:
    """Show the switch of developer mode (action 0), flip it (1) or confirm it (2), until the connection ends."""
    while True:
        match link.receive_plist().get("action"):
            case 0:
                phone.developer_switch_shown = True
                link.send_plist({"success": True})
            case 1 if phone.state.passcode:
                link.send_plist({"Error": "Device has a passcode set"})
            case 1 | 2:
                phone.state.developer_mode = True
                link.send_plist({"success": True})
            case other:
                link.send_plist({"Error": f"unknown action {other!r}"})


def serve_misagent(phone: VirtualIPhone, link: Link) -> None:
    """List the provisioning profiles of the installed apps, until the connection ends."""
    while True:
        request = link.receive_plist()
        if request.get("MessageType") in ("Copy", "CopyAll"):
            files = (
                app.bundle / app.ipa.app / "embedded.mobileprovision" for app in list(phone.apps.installed.values())
            )
            link.send_plist({"Status": 0, "Payload": [file.read_bytes() for file in files if file.exists()]})
        else:
            link.send_plist({"Status": 0})
