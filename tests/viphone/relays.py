"""The services that pass the log on: lines of text, and the records of os_trace."""

from __future__ import annotations

import plistlib
import struct
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.viphone.apps import process_rows
from tests.viphone.link import Link
from tests.viphone.logs import Entry

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

TURN_S = 0.2
ALL_PROCESSES = -1, 4294967295
# Of a record: process, its unique number and image, time, level, ticks, thread, sender, and the sizes of the texts.
RECORD = struct.Struct("<9xIQ16s18xI4xIxB6xQQ16sHH2xIII4x")
NOTICE = 0


def serve_syslog(phone: VirtualIPhone, link: Link) -> None:
    """Send every line of the log as text until the connection ends."""
    count = 0
    link.send(b"\0")
    while not link.gone:
        entries, count = phone.log.after(count, TURN_S)
        for entry in entries:
            at = datetime.fromtimestamp(entry.at_s)
            head = f"{at:%b} {at.day:2} {at:%H:%M:%S} {phone.state.name.replace(' ', '-')}"
            link.send(f"{head} {entry.process}[{entry.pid}] <Notice>: {entry.text}\n\0".encode())


def serve_os_trace(phone: VirtualIPhone, link: Link) -> None:
    """List processes, or send the records of one or of all until the connection ends."""
    request = link.receive_plist()
    match request.get("Request"):
        case "PidList":
            rows = {str(row["pid"]): {"ProcessName": row["name"]} for row in process_rows(phone)}
            data = plistlib.dumps({"Status": "RequestSuccessful", "Payload": rows})
            link.send(b"\x01" + struct.pack(">I", len(data)) + data)
        case "StartActivity":
            _answer(link, {"Status": "RequestSuccessful"})
            _follow(phone, link, int(request.get("Pid", ALL_PROCESSES[0])))
        case other:
            _answer(link, {"Status": "RequestFailed", "Error": f"no request {other!r}"})


def _answer(link: Link, said: dict[str, Any]) -> None:
    data = plistlib.dumps(said)
    link.send(struct.pack("<II", 4, len(data)) + data)


def _follow(phone: VirtualIPhone, link: Link, pid: int) -> None:
    count = phone.log.count
    while not link.gone:
        entries, count = phone.log.after(count, TURN_S)
        for entry in entries:
            if pid in ALL_PROCESSES or pid == entry.pid:
                record = record_of(entry)
                link.send(b"\x02" + struct.pack("<I", len(record)) + record)


def record_of(entry: Entry) -> bytes:
    """One line of the log as a record."""
    name, text = entry.process.encode() + b"\0", entry.text.encode() + b"\0"
    seconds, rest = divmod(entry.at_s, 1)
    microseconds, ticks = int(rest * 1e6), int(entry.at_s * 24e6)
    numbers = (int(seconds), microseconds, NOTICE, ticks, 1)
    return (
        RECORD.pack(entry.pid, entry.pid, bytes(16), *numbers, bytes(16), len(name), len(text), 0, 0, 0)
        + b"/private/var/containers/Bundle/"
        + name
        + name
        + text
    )
