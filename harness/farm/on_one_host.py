"""A farm inside this process, for the phones on this computer: the same engine, queue and benches, and no socket."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.devices.registry import open_device
from harness.farm.agent import Agent, HostRoster
from harness.farm.bench import Opener, Site, Spool
from harness.farm.dask_queue import DaskQueue
from harness.farm.depot import Depot
from harness.farm.engine import FarmEngine, FarmRun
from harness.farm.workers import Engine, Workers, configure_engine, without_pages

# How long the devices of this host may take to be opened the first time.
START_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFarm:
    """The engine of a run, and the depot that it uses."""

    engine: FarmEngine
    depot: Depot


@contextmanager
def local_farm(
    root: Path, keys: Sequence[str], run: FarmRun, opener: Opener = open_device, *, at_once: int | None = None
) -> Iterator[LocalFarm]:
    """Yield a farm of the devices ``keys`` of this host, with its files in ``root``, until the block ends.

    At most ``at_once`` of them work at the same time, None for all.
    """
    configure_engine()
    depot = Depot(root / "depot", name="this computer")
    site = Site(
        agent="this computer",
        post=depot,
        spool=Spool(root / "spool"),
        files=root / "files",
        opener=opener,
        slots=threading.Semaphore(at_once or max(1, len(keys))),
    )
    with _loop() as loop:
        host = _Host(site, tuple(keys))
        address = host.start(loop)
        queue = DaskQueue(lambda: Engine(address=address), loop=_tornado(loop))
        engine = FarmEngine(run, depot, queue)
        try:
            yield LocalFarm(engine=engine, depot=depot)
        finally:
            engine.close()
            queue.close()
            site.stopping.set()
            host.stop(loop)
            if engine.took_all:
                shutil.rmtree(root, ignore_errors=True)


class _Host:
    """The scheduler and the agent of this process, in a loop of their own thread."""

    def __init__(self, site: Site, keys: tuple[str, ...]) -> None:
        self._site, self._keys = site, keys
        self._scheduler: Any = None
        self._serving: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> str:
        """Start both, with every device looked at once, and return the address of the scheduler."""
        return str(asyncio.run_coroutine_threadsafe(self._start(), loop).result(START_S))

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop both, ending what runs."""
        asyncio.run_coroutine_threadsafe(self._stop(), loop).result(START_S)

    async def _start(self) -> str:
        from distributed import Scheduler

        self._scheduler = await without_pages(Scheduler)(protocol="inproc", host="", dashboard=False)
        workers = Workers(Engine(address=self._scheduler.address), self._site.agent)
        agent = Agent(site=self._site, roster=HostRoster(keys=self._keys), workers=workers)
        await agent.look(START_S / 2)
        self._serving = asyncio.create_task(agent.run())
        return str(self._scheduler.address)

    async def _stop(self) -> None:
        if self._serving is not None:
            await self._serving
        await self._scheduler.close()


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="farm", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _tornado(loop: asyncio.AbstractEventLoop) -> Any:
    from tornado.ioloop import IOLoop

    async def current() -> IOLoop:
        return IOLoop.current()

    return asyncio.run_coroutine_threadsafe(current(), loop).result(START_S)
