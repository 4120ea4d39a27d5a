"""A dashboard that serves in a thread of the test, and a way to ask it."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from harness.dashboard.access import Access
from harness.dashboard.serve import make_server
from harness.dashboard.site import HistorySource, Site
from harness.farm.status import FarmStatus

DEADLINE_S = 60
LOCAL = Access(host="127.0.0.1", port=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A dashboard that runs. ``context`` is what a reader's TLS uses, None for plain HTTP."""

    port: int
    context: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What a browser opens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Ask once, over a connection of its own."""
        sent = {"Host": f"localhost:{self.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.context is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE_S, context=self.context)
        try:
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(status=answer.status, headers=found, text=answer.read().decode())
        finally:
            connection.close()

    def one(self, path: str, name: str) -> Answer:
        """Ask for the page of one thing."""
        return self.get(f"{path}?name={quote(name, safe='')}")


@contextmanager
def serving(
    results: Path,
    history: str,
    access: Access = LOCAL,
    context: ssl.SSLContext | None = None,
    trusted: Path | None = None,
    farm: Callable[[], FarmStatus] | None = None,
) -> Iterator[Served]:
    """Serve until the block ends; the thread is joined."""
    key = str(trusted) if trusted else None
    site = Site(results=results, history=HistorySource(history), trusted=key, farm=farm)
    server, listening = make_server(site, access)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="dashboard")
    thread.start()
    try:
        yield Served(port=listening.getsockname()[1], context=context)
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
        listening.close()
        site.history.close()
        assert not thread.is_alive()
