"""The mobile image mounter: the developer disk image, without which nothing of Instruments starts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

DEVELOPER, PERSONALIZED = "Developer", "Personalized"


class Images:
    """What is mounted; of a mounted image its signature is kept."""

    def __init__(self, phone: VirtualIPhone) -> None:
        self._phone = phone
        self._signature = b"virtual signature"
        self._received: dict[str, bytes] = {}

    @property
    def kind(self) -> str:
        """The kind of image that this iOS takes."""
        return PERSONALIZED if self._phone.state.ios_version >= (17,) else DEVELOPER

    @property
    def mounted(self) -> bool:
        """Whether the developer image is mounted."""
        return self._phone.state.image_mounted

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return "/System/Developer" if self.kind == PERSONALIZED else "/Developer"

    def unmount(self) -> None:
        """Unmount it."""
        self._phone.state.image_mounted = False

    def serve(self, link: Link) -> None:
        """Answer commands until the connection ends."""
        while True:
            request = link.receive_plist()
            if request.get("Command") == "ReceiveBytes":
                self._receive(link, request)
            elif request.get("Command") == "Hangup":
                link.send_plist({"Goodbye": True})
                return
            else:
                link.send_plist(self._answer(request))

    def _receive(self, link: Link, request: dict[str, Any]) -> None:
        if self._phone.state.locked:
            link.send_plist(_LOCKED)
            return
        link.send_plist({"Status": "ReceiveBytesAck"})
        self._received[str(request["ImageType"])] = link.receive(int(request["ImageSize"]))
        link.send_plist({"Status": "Complete"})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        state = self._phone.state
        match request.get("Command"):
            case "CopyDevices":
                return {"EntryList": [self._entry()] if self.mounted else [], "Status": "Complete"}
            case "LookupImage":
                present = self.mounted and request.get("ImageType") == self.kind
                found = {"ImagePresent": True, "ImageSignature": [self._signature]} if present else {}
                return found | {"Status": "Complete"}
            case "MountImage":
                return self._mount(request)
            case "UnmountImage":
                if not self.mounted or request.get("MountPath") not in (self.path, "/Developer", "/System/Developer"):
                    detail = f"There is no matching entry in the device map for {request.get('MountPath')}."
                    return {"Error": "InternalError", "DetailedError": detail}
                self.unmount()
                return {"Status": "Complete"}
            case "QueryDeveloperModeStatus" if state.ios_version >= (16,):
                return {"DeveloperModeStatus": state.developer_mode, "Status": "Complete"}
            case "QueryNonce" if state.ios_version >= (17,):
                return {"PersonalizationNonce": hashlib.sha256(state.udid.encode()).digest()}
            case "QueryPersonalizationIdentifiers" if state.ios_version >= (17,):
                return {"PersonalizationIdentifiers": {"BoardId": 12, "ChipID": 0x8120, "SecurityDomain": 1}}
            case "QueryPersonalizationManifest":
                return {"Error": "InternalError", "DetailedError": "MissingManifestError: there is no manifest"}
        return {"Error": "UnknownCommand"}

    def _mount(self, request: dict[str, Any]) -> dict[str, Any]:
        kind = str(request.get("ImageType"))
        if self._phone.state.locked:
            return _LOCKED
        if not self._phone.developer_mode:
            return {"Error": "InternalError", "DetailedError": "Developer mode is not enabled on this device."}
        if self.mounted:
            return {"Error": "ImageMountFailed", "DetailedError": f"The image is already mounted at {self.path}."}
        if kind != self.kind or kind not in self._received:
            return {"Error": "ImageMountFailed", "DetailedError": f"There is no image of the kind {kind!r}."}
        self._signature = bytes(request.get("ImageSignature", b""))
        self._phone.state.image_mounted = True
        return {"Status": "Complete"}

    def _entry(self) -> dict[str, Any]:
        return {
            "DiskImageType": self.kind,
            "IsMounted": True,
            "MountPath": self.path,
            "ImageSignature": self._signature,
            "IsDeveloperImage": True,
        }


_LOCKED = {"Error": "DeviceLocked", "DetailedError": "The device is locked; unlock it and try again."}
