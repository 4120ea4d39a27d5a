"""The diagnostics relay: the battery in the I/O registry, and restarting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

BATTERY_CLASS = "IOPMPowerSource"
BATTERY_NAMES = ("AppleSmartBattery", "AppleARMPMUCharger")
SUCCESS = {"Status": "Success"}


def serve(phone: VirtualIPhone, link: Link) -> None:
    """Answer until the connection ends. What restarts the phone waits for that end."""
    action = ""
    try:
        while True:
            request = link.receive_plist()
            match request.get("Request"):
                case "Goodbye":
                    link.send_plist(SUCCESS)
                    return
                case "IORegistry":
                    link.send_plist(_registry(phone, request))
                case "All" | "GasGauge":
                    said = {"CycleCount": phone.state.battery_cycles, "Status": "Success"}
                    link.send_plist(SUCCESS | {"Diagnostics": {"GasGauge": said}})
                case "MobileGestalt":
                    word = "MobileGestaltDeprecated" if phone.state.ios_version >= (17, 4) else "Success"
                    link.send_plist(SUCCESS | {"Diagnostics": {"MobileGestalt": {"Status": word}}})
                case "Restart" | "Shutdown" | "Sleep" as verb:
                    action = verb
                    link.send_plist(SUCCESS)
                case _:
                    link.send_plist({"Status": "UnknownRequest"})
    finally:
        if action == "Restart":
            phone.restart(down_s=0.3)


def _registry(phone: VirtualIPhone, request: dict[str, Any]) -> dict[str, Any]:
    if request.get("EntryClass") != BATTERY_CLASS and request.get("EntryName") not in BATTERY_NAMES:
        return SUCCESS | {"Diagnostics": {}}
    state = phone.state
    battery = {
        "CurrentCapacity": state.battery_percent,
        "MaxCapacity": state.battery_capacity,
        "AppleRawCurrentCapacity": phone.gauge.charge_mah(),
        "CycleCount": state.battery_cycles,
        "ExternalConnected": state.plugged,
        "FullyCharged": state.battery_percent == 100,
        "InstantAmperage": state.battery_current_ma,
        "IsCharging": state.charging,
        "Temperature": round(state.battery_temperature_c * 100),
        "Voltage": state.battery_voltage_mv,
        "IOClass": BATTERY_CLASS,
    }
    return SUCCESS | {"Diagnostics": {"IORegistry": battery}}
