"""lockdownd: facts about the phone, pairing, sessions with TLS, and starting services."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.viphone.link import Link
from tests.viphone.services import services_of
from tests.viphone.trust import PairingError, Refusal

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

PORT = 62078
TYPE = "com.apple.mobile.lockdown"
# What a computer may know that is not trusted.
PUBLIC = (
    "DeviceName", "DeviceClass", "ProductType", "ProductVersion", "BuildVersion", "UniqueDeviceID", "DevicePublicKey",
    "CPUArchitecture", "HardwareModel", "ProductName", "PasswordProtected", "WiFiAddress", "ProtocolVersion",
)  # fmt: skip
PASSWORD_PROTECTED = "PasswordProtected"


class Lockdown:
    """One connection with lockdownd; at the end of a tunnel, which only a trusted computer has, without a session."""

    def __init__(self, phone: VirtualIPhone, link: Link, *, trusted: bool = False) -> None:
        self._phone, self._link = phone, link
        self._host = ""
        self._session = "tunnel" if trusted else ""

    def serve(self) -> None:
        """Answer until the connection ends."""
        while True:
            request = self._link.receive_plist()
            verb = str(request.get("Request", ""))
            answer = {"Request": verb} | self._answer(verb, request)
            self._link.send_plist(answer)
            if "Error" in answer:
                continue
            if verb == "StartSession":
                self._secure()
            elif verb == "StopSession":
                self._session = ""
                with suppress(OSError):
                    self._link.stop_tls()

    def _answer(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        match verb:
            case "QueryType":
                return {"Type": TYPE}
            case "GetValue":
                return self._get_value(str(request.get("Domain") or ""), str(request.get("Key") or ""))
            case "Pair" | "ValidatePair" | "Unpair":
                return self._pair(verb, request.get("PairRecord") or {})
            case "StartSession":
                return self._start_session(str(request.get("HostID", "")))
            case "StopSession":
                return {} if self._session else {"Error": "SessionInactive"}
            case "StartService":
                return self._start_service(str(request.get("Service", "")))
            case "SetValue" | "RemoveValue" if self._session:
                return {}
            case "Goodbye":
                return {"Result": "Success"}
        return {"Error": "SessionInactive"} if verb in ("SetValue", "RemoveValue") else {"Error": "InvalidRequest"}

    def _get_value(self, domain: str, key: str) -> dict[str, Any]:
        values = facts(self._phone, domain)
        if not self._session:
            if domain or (key and key not in PUBLIC):
                return {"Error": "GetProhibited"}
            values = {name: value for name, value in values.items() if name in PUBLIC}
        said: dict[str, Any] = {"Domain": domain} if domain else {}
        if not key:
            return said | {"Value": values}
        if key not in values:
            return said | {"Key": key, "Error": "MissingValue"}
        return said | {"Key": key, "Value": values[key]}

    def _pair(self, verb: str, record: dict[str, Any]) -> dict[str, Any]:
        trust, host = self._phone.trust, str(record.get("HostID", ""))
        try:
            match verb:
                case "Unpair":
                    trust.forget(host)
                    return {}
                case "ValidatePair":
                    return {} if trust.knows(host) else {"Error": "InvalidHostID"}
            # The dialog does not come up on a locked phone.
            if not trust.knows(host) and self._phone.state.locked:
                raise PairingError(Refusal.LOCKED)
            return {"EscrowBag": trust.pair(record)}
        except PairingError as error:
            return {"Error": error.refusal.value}

    def _start_session(self, host: str) -> dict[str, Any]:
        if self._session:
            return {"Error": "SessionActive"}
        if not self._phone.trust.knows(host):
            return {"Error": "InvalidHostID"}
        self._host, self._session = host, str(uuid.uuid4()).upper()
        return {"SessionID": self._session, "EnableSessionSSL": True}

    def _secure(self) -> None:
        """Shake hands; raises `ConnectionError` if it is not the computer of the session."""
        certificate = self._link.start_tls(self._phone.trust.context(self._host))
        if not self._phone.trust.accepts(self._host, certificate):
            msg = "the certificate is not of the computer of this session"
            raise ConnectionError(msg)

    def _start_service(self, name: str) -> dict[str, Any]:
        phone, service = self._phone, services_of(self._phone).get(name)
        if not self._session:
            return {"Error": "SessionInactive"}
        if service is None:
            return {"Error": "InvalidService", "Service": name}
        if phone.state.before_first_unlock and not service.locked:
            return {"Error": PASSWORD_PROTECTED, "Service": name}
        if service.image and not (phone.images.mounted and phone.developer_mode):
            return {"Error": "InvalidService", "Service": name}
        secure = name not in phone.state.plain_services
        port = phone.listen(service, self._host if secure else None)
        return {"Service": name, "Port": port} | ({"EnableServiceSSL": True} if secure else {})


def facts(phone: VirtualIPhone, domain: str) -> dict[str, Any]:
    """The values of one domain; empty for one that is unknown."""
    state = phone.state
    match domain:
        case "":
            values = _general(phone)
        case "com.apple.disk_usage" | "com.apple.disk_usage.factory":
            values = _disk(phone)
        case "com.apple.mobile.battery":
            values = _battery(phone)
        case "com.apple.security.mac.amfi" if state.ios_version >= (16,):
            values = {"DeveloperModeStatus": state.developer_mode}
        case _:
            values = {}
    prefix = f"{domain}:" if domain else ""
    more = {key.removeprefix(prefix): value for key, value in state.values.items() if key.startswith(prefix)}
    return values | {key: value for key, value in more.items() if ":" not in key}


def _general(phone: VirtualIPhone) -> dict[str, Any]:
    state = phone.state
    return {
        "ActivationState": "Activated",
        "BasebandStatus": "BBInfoAvailable",
        "BluetoothAddress": "02:00:00:00:00:01",
        "BuildVersion": state.build,
        "ChipID": 0x8120,
        "CPUArchitecture": "arm64e",
        "DeviceClass": "iPhone",
        "DeviceColor": "1",
        "DeviceName": state.name,
        "DevicePublicKey": phone.trust.key.public_pem,
        "DieID": 1,
        "HardwareModel": state.board,
        "HardwarePlatform": "t8120",
        "HasSiDP": True,
        "HostAttached": True,
        "ModelNumber": "MPXN3",
        "PasswordProtected": state.passcode and (state.locked or state.before_first_unlock),
        "ProductName": "iPhone OS",
        "ProductType": state.product_type,
        "ProductVersion": state.ios,
        "HumanReadableProductVersionString": state.ios,
        "ProtocolVersion": "2",
        "SerialNumber": "VIRTUAL0001",
        "TimeIntervalSince1970": phone.now_s(),
        "TimeZone": "Europe/Berlin",
        "TrustedHostAttached": True,
        "UniqueChipID": int(state.udid.replace("-", "")[8:], 16),
        "UniqueDeviceID": state.udid,
        "WiFiAddress": "02:00:00:00:00:02",
    }


def _disk(phone: VirtualIPhone) -> dict[str, Any]:
    free, total = phone.storage.free_bytes(), phone.state.capacity_bytes
    return {
        "AmountDataAvailable": free,
        "AmountDataReserved": 0,
        "TotalDataAvailable": free,
        "TotalDataCapacity": total,
        "TotalDiskCapacity": total,
        "TotalSystemAvailable": 0,
        "TotalSystemCapacity": 0,
    }


def _battery(phone: VirtualIPhone) -> dict[str, Any]:
    state = phone.state
    return {
        "BatteryCurrentCapacity": state.battery_percent,
        "BatteryIsCharging": state.charging,
        "ExternalChargeCapable": state.plugged,
        "ExternalConnected": state.plugged,
        "FullyCharged": state.battery_percent == 100,
        "GasGaugeCapability": True,
        "HasBattery": True,
    }
