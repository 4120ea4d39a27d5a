"""The scheduler of a farm: the queue and the depot in one process, both behind mutual TLS.

It may be killed and started again at any time. The queue is empty then; agents join again, programs that own a run
queue again what is not done, and the depot knows from its journals what is.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.farm.calls import PROTOCOL, Hello
from harness.farm.depot import Depot
from harness.farm.link import own_versions
from harness.farm.places import alone_in
from harness.farm.tls import DEPOT_PORT, SCHEME, check_own, engine_security, farm_url
from harness.farm.workers import configure_engine, without_pages

ENGINE_PORT = 8786
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    """Where the scheduler listens, the folder with its certificate, and the folder of its depot. Port 0: a free one."""

    certs: Path
    data: Path
    host: str = LOOPBACK
    port: int = DEPOT_PORT
    engine_port: int = ENGINE_PORT


def serve_scheduler(options: SchedulerOptions, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``tell`` gets sentences for the terminal.

    Raises `UsageError` for a certificate or an address that cannot be used, and for a folder that another scheduler
    uses; `StoreError` for a folder that cannot be written.
    """
    configure_engine()
    if warning := check_own(options.certs):
        tell(warning)
    with alone_in(options.data, "scheduler"):
        asyncio.run(_serve(options, tell))


async def _serve(options: SchedulerOptions, tell: Callable[[str], None]) -> None:
    from distributed import Scheduler
    from tornado.netutil import bind_sockets

    from harness.farm.server import keep_sweeping, serve

    stopped = stop_on_signals()
    try:
        sockets = bind_sockets(options.port, options.host)
        url = farm_url(options.host, sockets[0].getsockname()[1])
        depot = Depot(options.data, name=url)
        scheduler = await without_pages(Scheduler)(
            host=options.host,
            port=options.engine_port,
            protocol=f"{SCHEME}://",
            security=engine_security(options.certs, dials_names=False),
            dashboard=False,
        )
    except OSError as error:
        msg = f"cannot listen on {options.host}:{options.port} and {options.engine_port} ({error}): choose other ports"
        raise UsageError(msg) from error
    server = serve(depot, _hello(scheduler.port), options.certs, sockets)
    sweeping = asyncio.create_task(keep_sweeping(depot))
    tell(f"The scheduler listens at {url}. To stop it: Ctrl-C")
    await stopped.wait()
    sweeping.cancel()
    server.stop()
    await server.close_all_connections()
    await scheduler.close()


def _hello(engine_port: int) -> Callable[[], Hello]:
    versions = own_versions()
    return lambda: Hello(protocol=PROTOCOL, versions=versions, now_s=time.time(), engine=str(engine_port))


def stop_on_signals() -> asyncio.Event:
    """Return an event of the running loop that SIGINT or SIGTERM sets."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
