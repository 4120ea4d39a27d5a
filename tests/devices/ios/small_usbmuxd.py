"""A usbmuxd that knows one command, for tests of the question that needs no driver."""

from __future__ import annotations

import plistlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEADER = struct.Struct("<IIII")
# What a listener does with a connection after it has read the question.
Answer = Callable[[socket.socket], None]


def entry(udid: str, connection: str = "USB", number: int = 1) -> dict[str, object]:
    """One attached device as usbmuxd lists it."""
    facts = {"ConnectionType": connection, "DeviceID": number, "SerialNumber": udid, "ProductID": 4776}
    return {"DeviceID": number, "MessageType": "Attached", "Properties": facts}


def listing(*entries: dict[str, object]) -> Answer:
    """Answer with these devices."""
    return whole(plistlib.dumps({"DeviceList": list(entries)}))


def whole(body: bytes) -> Answer:
    """Answer with this body under a right header."""
    return lambda link: link.sendall(HEADER.pack(HEADER.size + len(body), 1, 8, 1) + body)


@contextmanager
def listening(answer: Answer, host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """Yield the environment in which clients find the listener."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    shown = f"[{host}]" if ":" in host else host
    with socket.create_server((host, 0), family=family) as server:

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    length = HEADER.unpack(link.recv(HEADER.size, socket.MSG_WAITALL))[0]
                    question = plistlib.loads(link.recv(length - HEADER.size, socket.MSG_WAITALL))
                    assert question["MessageType"] == "ListDevices"
                    answer(link)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield {"USBMUXD_SOCKET_ADDRESS": f"{shown}:{server.getsockname()[1]}"}
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
