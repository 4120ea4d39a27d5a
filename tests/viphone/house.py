"""House arrest: AFC in the container of one app, all of it or its Documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.viphone.afc import AfcSession
from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone


def serve(phone: VirtualIPhone, link: Link) -> None:
    """Answer the request for a container, then speak AFC in it."""
    while True:
        request = link.receive_plist()
        app = phone.apps.installed.get(request.get("Identifier", ""))
        error = ""
        match request.get("Command"):
            case "VendContainer":
                # The whole container is for apps under development alone.
                error = "" if app is None or app.ipa.debuggable else "InstallationLookupFailed"
            case "VendDocuments":
                error = "" if app is None or app.ipa.info.get("UIFileSharingEnabled") else "InstallationLookupFailed"
            case _:
                error = "UnknownCommand"
        if app is None and not error:
            error = "ApplicationLookupFailed"
        if error or app is None:
            link.send_plist({"Error": error})
            continue
        link.send_plist({"Status": "Complete"})
        break
    documents_only = request["Command"] == "VendDocuments"
    AfcSession(
        app.data,
        phone.storage,
        allows=lambda part: not documents_only or part == "Documents",
        clip=phone.faults.clip,
    ).serve(link)
