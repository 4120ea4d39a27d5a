"""The other end of a connection: it says what it is given and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading


class Speaker:
    """Listens on a port of loopback. Whoever connects gets the bytes set last, and then the end of the stream."""

    def __init__(self) -> None:
        self._says = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def says(self, data: bytes) -> None:
        """Say this from now on."""
        self._says = data

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(self._says)
                connection.shutdown(socket.SHUT_WR)
                # A connection that is closed with something unread takes back what was said.
                while connection.recv(1 << 16):
                    pass
