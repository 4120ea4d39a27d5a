"""The other end of a connection, which sends the bytes that it is given."""

from __future__ import annotations

import contextlib
import socket
import threading


class Speaker:
    """Listens on a loopback port. Each client receives the bytes that were set last, then the end of the stream."""

    def __init__(self) -> None:
        self._says = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def says(self, data: bytes) -> None:
        """Send ``data`` to every client from now on."""
        self._says = data

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(self._says)
                connection.shutdown(socket.SHUT_WR)
                # Closing a connection while input is unread resets it, and the other side may lose what was sent.
                while connection.recv(1 << 16):
                    pass
