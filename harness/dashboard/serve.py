"""Runs the dashboard until it is stopped."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from harness.dashboard.access import Access, check_access
from harness.dashboard.app import make_app
from harness.dashboard.site import Site
from harness.errors import MissingPackageError, UsageError

try:
    import uvicorn
except ModuleNotFoundError as missing:
    raise MissingPackageError(package="uvicorn", extra="farm", purpose="phonebench dashboard") from missing

# Pages at once. Each takes a thread and some memory; more wait or are refused.
MOST_AT_ONCE = 64


def serve(site: Site, access: Access, ready: Callable[[str], None]) -> None:
    """Serve ``site`` until Ctrl-C; ``ready`` gets the address as soon as it is open. Raises `UsageError`."""
    server, listening = make_server(site, access)
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    ready(address_of(replace(access, port=listening.getsockname()[1])))
    try:
        # uvicorn ends cleanly on Ctrl-C and then raises it again. For a server that is no failure.
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        listening.close()
        site.history.close()


def make_server(site: Site, access: Access) -> tuple[uvicorn.Server, socket.socket]:
    """Return the server and the socket that it listens on, before it runs. Raises `UsageError`."""
    check_access(access)
    listening = _listen(access)
    return uvicorn.Server(_config(site, access)), listening


def address_of(access: Access) -> str:
    """Return the address that a browser opens."""
    host = f"[{access.host}]" if ":" in access.host else access.host
    return f"{'http' if access.tls is None else 'https'}://{host}:{access.port}/"


def _warm_up() -> None:
    """Load what draws charts, so that the first reader of one need not wait for it."""
    import matplotlib.backends.backend_svg
    import matplotlib.dates  # noqa: F401


def _config(site: Site, access: Access) -> uvicorn.Config:
    tls = access.tls
    config = uvicorn.Config(
        make_app(site, access),
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        ws="none",
        # A header could otherwise claim another address, and so get around the wait after wrong logins.
        proxy_headers=False,
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=2,
        ssl_certfile=None if tls is None else tls.cert,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ca_certs=None if tls is None or tls.ca is None else str(tls.ca),
        ssl_cert_reqs=ssl.CERT_NONE if tls is None or tls.ca is None else ssl.CERT_REQUIRED,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def _listen(access: Access) -> socket.socket:
    family = socket.AF_INET6 if ":" in access.host else socket.AF_INET
    try:
        return socket.create_server((access.host, access.port), family=family, backlog=128)
    except OSError as error:
        msg = f"cannot listen at {access.host} port {access.port} ({error.strerror or error}): choose another --port"
        raise UsageError(msg) from error
