"""AWS Device Farm as far as phonebench asks it: the JSON interface that boto3 speaks, and addresses for files.

The names of calls and fields are those of botocore's model of the service, which also checks every request and parses
every answer in these tests. A scheduled run is executed by whoever sets ``host``.
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = "arn:aws:devicefarm:us-west-2:111122223333:project:5e01a8c7"
RUN = "arn:aws:devicefarm:us-west-2:111122223333:run:5e01a8c7/0001"

Answer = tuple[int, dict[str, Any]]


@dataclass(slots=True)
class FakeFarm:
    """The state of the service. ``wrong`` holds answers by call, one after the other, sent before the right ones."""

    url: str = ""
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    wrong: dict[str, list[Answer]] = field(default_factory=dict)
    statuses: list[tuple[str, str]] = field(default_factory=lambda: [("RUNNING", "PENDING"), ("COMPLETED", "PASSED")])
    artifact: bytes = b""
    short: int = 0
    host: Callable[[FakeFarm], bytes] | None = None

    def reset(self) -> None:
        """Forget everything but the address."""
        FakeFarm.__init__(self, url=self.url)

    def answer(self, call: str, asked: dict[str, Any]) -> Answer:
        """Answer one call."""
        self.calls.append((call, asked))
        if self.wrong.get(call):
            return self.wrong[call].pop(0)
        match call:
            case "CreateUpload":
                arn = f"{PROJECT}/upload:{len(self.uploads)}"
                self.uploads[arn] = asked
                return 200, {"upload": {"arn": arn, "url": f"{self.url}/put/{asked['type']}", "status": "INITIALIZED"}}
            case "GetUpload":
                return 200, {"upload": {"arn": asked["arn"], "status": "SUCCEEDED"}}
            case "ScheduleRun":
                if self.host is not None:
                    self.artifact = self.host(self)
                return 200, {"run": {"arn": RUN, "status": "SCHEDULING"}}
            case "GetRun":
                status, result = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
                return 200, {"run": {"arn": RUN, "status": status, "result": result}}
            case "StopRun":
                return 200, {"run": {"arn": RUN, "status": "STOPPING"}}
            case "ListArtifacts":
                if "nextToken" not in asked:
                    log = {"arn": "a", "name": "Logcat", "type": "DEVICE_LOG", "url": f"{self.url}/none"}
                    return 200, {"artifacts": [log], "nextToken": "more"}
                url = f"{self.url}/artifact"
                return 200, {"artifacts": [{"arn": "b", "name": "Files", "type": "CUSTOMER_ARTIFACT", "url": url}]}
        return 400, {"__type": "UnknownOperationException"}


class _Handler(BaseHTTPRequestHandler):
    farm: FakeFarm

    def do_POST(self) -> None:
        call = self.headers["X-Amz-Target"].partition(".")[2]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.farm.answer(call, json.loads(data))
        self._send(status, json.dumps(body).encode())

    def do_PUT(self) -> None:
        self.farm.files[self.path.rpartition("/")[2]] = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(200, b"")

    def do_GET(self) -> None:
        if self.path == "/artifact":
            self._send(200, self.farm.artifact, missing=self.farm.short)
        else:
            self._send(404, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""

    def _send(self, status: int, data: bytes, *, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data) + missing))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_farm() -> Iterator[FakeFarm]:
    """Serve on a free loopback port until the block ends."""
    farm = FakeFarm()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"farm": farm}))
    farm.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield farm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def zipped(**files: bytes) -> bytes:
    """A zip archive as the farm makes one of the files that a run left."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"Host_Machine_Files/$DEVICEFARM_LOG_DIR/{name}", content)
    return data.getvalue()
