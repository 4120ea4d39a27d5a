"""Helpers for tests of connections: an echo server, and waiting."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@contextmanager
def echo_server() -> Generator[tuple[str, int]]:
    """An echo server on loopback; gives its host and port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        host, port = server.server_address[:2]
        yield str(host), int(port)
        server.shutdown()
        thread.join()


def wait_for(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    ends = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends, "did not come about in time"
        time.sleep(0.02)
