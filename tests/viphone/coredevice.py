"""The services of CoreDevice on the developer image: apps and the lock, over XPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.viphone.apps import LaunchError, process_rows
from tests.viphone.http2 import XpcServer

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

APPS, INFO = "com.apple.coredevice.appservice", "com.apple.coredevice.deviceinfo"
FEATURE = "com.apple.coredevice.feature."
STATUS = "CoreDevice.XPCMessageKey.sideChannelStatus"
# Answers a message; None for one that is answered otherwise, or never.
Answer = Callable[["VirtualIPhone", Any, XpcServer], Any | None]


def _answer_apps(phone: VirtualIPhone, message: Any, server: XpcServer) -> Any | None:
    given = message.get("CoreDevice.input") or {}
    match str(message.get("CoreDevice.featureIdentifier", "")).removeprefix(FEATURE):
        case "listapps":
            return None if phone.faults.silent_listapps else _output(_app_rows(phone))
        case "streamapplist":
            server.say({STATUS: {"pushing": {"elements": _app_rows(phone)}}})
            server.say({STATUS: {"finishStreaming": {}}})
            return None
        case "listprocesses":
            return _output({"processTokens": [_token(row["pid"], row["realAppName"]) for row in process_rows(phone)]})
        case "launchapplication":
            return _launch(phone, given)
        case "sendsignaltoprocess":
            pid = int(given["process"]["processIdentifier"])
            if int(given["signal"]) == 9:
                phone.apps.stop(pid)
            else:
                phone.apps.send_signal(pid, int(given["signal"]))
            return _output({"process": {"processIdentifier": pid}})
    return _error(1, "The feature is not supported by this device.")


def _answer_info(phone: VirtualIPhone, message: Any, _: XpcServer) -> Any | None:
    match str(message.get("CoreDevice.featureIdentifier", "")).removeprefix(FEATURE):
        case "getlockstate":
            state = phone.state
            said = {
                "passcodeRequired": state.passcode and state.locked,
                "unlockedSinceBoot": not state.before_first_unlock,
            }
            return _output(said | {"deviceIdentifier": state.udid})
    return _error(1, "The feature is not supported by this device.")


SERVICES: dict[str, Answer] = {APPS: _answer_apps, INFO: _answer_info}


def _launch(phone: VirtualIPhone, given: dict[str, Any]) -> dict[str, Any]:
    bundle = given["applicationSpecifier"]["bundleIdentifier"]["_0"]
    options = given.get("options", {})
    if options.get("terminateExisting"):
        for one in phone.apps.running(bundle):
            phone.apps.stop(one.pid)
    try:
        running = phone.apps.start(bundle, options.get("arguments", []), options.get("environmentVariables", {}))
    except LaunchError as error:
        return _error(10002, str(error))
    return _output({"processToken": _token(running.pid, bundle)})


def _app_rows(phone: VirtualIPhone) -> list[dict[str, Any]]:
    return [
        {
            "bundleIdentifier": app.ipa.bundle_id,
            "name": app.ipa.info.get("CFBundleName", ""),
            "version": app.ipa.info.get("CFBundleShortVersionString", ""),
            "bundleVersion": app.ipa.info.get("CFBundleVersion", ""),
            "isDeveloperApp": app.ipa.debuggable,
            "isRemovable": True,
        }
        for app in list(phone.apps.installed.values())
    ]


def _token(pid: int, path: str) -> dict[str, Any]:
    return {"processIdentifier": pid, "executableURL": {"relative": f"file://{path}"}}


def _output(value: Any) -> dict[str, Any]:
    return {"CoreDevice.output": value}


def _error(code: int, text: str) -> dict[str, Any]:
    error = {"code": code, "domain": "com.apple.dt.CoreDeviceError", "userInfo": {"NSLocalizedDescription": text}}
    return {"CoreDevice.error": error}
