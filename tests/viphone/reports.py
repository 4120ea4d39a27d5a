"""Crash reports: JSON with one line of header, as iOS 15 and later write them."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.viphone.apps import Running
    from tests.viphone.iphone import VirtualIPhone

PAGE_BYTES = 16384
BUG_CRASH, BUG_JETSAM = "309", "298"


def crash(phone: VirtualIPhone, running: Running) -> tuple[str, bytes]:
    """The name and contents of the report of a crash by a signal."""
    name, app = running.app.ipa.info["CFBundleExecutable"], running.app.ipa
    at = _at(phone)
    header = _header(phone, BUG_CRASH, at) | {
        "app_name": name,
        "name": name,
        "bundleID": app.bundle_id,
        "app_version": app.info.get("CFBundleShortVersionString", ""),
        "build_version": app.info.get("CFBundleVersion", ""),
    }
    body = {
        "procName": name,
        "pid": running.pid,
        "procPath": f"/private/var/containers/Bundle/Application/{running.app.uuid}/Runner.app/{name}",
        "bundleInfo": {"CFBundleIdentifier": app.bundle_id},
        "captureTime": _text(at),
        "procLaunch": _text(datetime.fromtimestamp(running.began_s, UTC)),
        "exception": {"type": "EXC_BAD_ACCESS", "signal": "SIGSEGV", "subtype": "KERN_INVALID_ADDRESS at 0x0"},
        "termination": {"namespace": "SIGNAL", "code": running.signal_number, "indicator": "Segmentation fault: 11"},
        "faultingThread": 0,
        "threads": [
            {"id": 1001, "triggered": True, "frames": [{"imageOffset": 4660, "symbol": "run", "imageIndex": 0}]}
        ],
        "usedImages": [{"name": name, "arch": "arm64", "base": 4294967296}],
    }
    return f"{name}-{at:%Y-%m-%d-%H%M%S}-{running.pid}.ips", _lines(header, body)


def jetsam(phone: VirtualIPhone, running: Running) -> tuple[str, bytes]:
    """The name and contents of the report of a kill for memory: a list of processes, the largest named first."""
    name, at = running.app.ipa.info["CFBundleExecutable"], _at(phone)
    processes = [
        {"uuid": str(uuid.uuid4()), "name": "SpringBoard", "pid": 60, "rpages": 12000, "states": ["frontmost"]},
        {
            "uuid": str(uuid.uuid4()),
            "name": name,
            "pid": running.pid,
            "rpages": 131000,
            "lifetimeMax": 131072,
            "states": ["frontmost"],
            "reason": "per-process-limit",
        },
    ]
    memory = {"memoryPages": {"active": 60000, "free": 3000}, "memoryPressure": False}
    body = {
        "build": f"iPhone OS {phone.state.ios} ({phone.state.build})",
        "product": phone.state.product_type,
        "date": _text(at),
        "largestProcess": name,
        "memoryStatus": memory | {"pageSize": PAGE_BYTES},
        "pageSize": PAGE_BYTES,
        "processes": processes,
    }
    return f"JetsamEvent-{at:%Y-%m-%d-%H%M%S}-{running.pid}.ips", _lines(_header(phone, BUG_JETSAM, at), body)


def _header(phone: VirtualIPhone, bug: str, at: datetime) -> dict[str, Any]:
    version = f"iPhone OS {phone.state.ios} ({phone.state.build})"
    return {"bug_type": bug, "timestamp": _text(at), "os_version": version, "incident_id": str(uuid.uuid4()).upper()}


def _at(phone: VirtualIPhone) -> datetime:
    return datetime.fromtimestamp(phone.now_s(), UTC)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}.00 +0000"


def _lines(header: dict[str, Any], body: dict[str, Any]) -> bytes:
    return (json.dumps(header) + "\n" + json.dumps(body, indent=2) + "\n").encode()
