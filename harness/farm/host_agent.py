"""Runs an agent on a host of a farm, or the program that owns a run: both start by joining the scheduler."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.devices.registry import expand_devices, open_device
from harness.errors import UsageError
from harness.farm.agent import Agent, HostRoster, NoDevices
from harness.farm.bench import Opener, Site, Spool
from harness.farm.builds.maker import Maker
from harness.farm.dask_queue import DaskQueue
from harness.farm.engine import FarmEngine, FarmRun
from harness.farm.link import DepotError, Link, ask_patiently, join
from harness.farm.places import Role, alone_in
from harness.farm.scheduler import stop_on_signals
from harness.farm.status import FarmStatus
from harness.farm.tls import FarmPlace, check_own, engine_security, farm_url
from harness.farm.workers import Engine, Workers, configure_engine
from harness.signing.keys import read_trusted_key

# The device kind whose figures are those of the computer that the agent runs on.
HOST = "host"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """Where the farm is, the agent's folder and name, its roles, and the devices to offer; none stands for all.

    ``trusted`` is the file of the public key that must have signed each artifact, None for any artifact.
    """

    place: FarmPlace
    data: Path
    name: str = ""
    roles: tuple[Role, ...] = (Role.MEASURE,)
    devices: tuple[str, ...] = ()
    trusted: Path | None = None


def serve_agent(options: AgentOptions, tell: Callable[[str], None], opener: Opener = open_device) -> None:
    """Offer the devices of this host until SIGINT or SIGTERM; ``tell`` gets sentences for the terminal.

    A scheduler that is not there yet is waited for. Raises `UsageError` if this host does not fit the farm or another
    agent uses the folder, `DepotError` if the farm refuses it, `SignatureError` for a key that cannot be used.
    """
    _check_roles(options)
    configure_engine()
    if options.trusted is not None:
        read_trusted_key(options.trusted)
    if warning := check_own(options.place.certs):
        tell(warning)
    with alone_in(options.data, "agent"):
        asyncio.run(_serve(options, tell, opener))


async def _serve(options: AgentOptions, tell: Callable[[str], None], opener: Opener) -> None:
    stopped = stop_on_signals()
    link, stopping = Link(options.place), threading.Event()
    waiting = asyncio.create_task(asyncio.to_thread(_engine_when_there, link, stopping, tell))
    stop = asyncio.create_task(stopped.wait())
    await asyncio.wait((waiting, stop), return_when=asyncio.FIRST_COMPLETED)
    if stopped.is_set():
        stopping.set()
    engine = await waiting
    if engine is None:
        return
    name = options.name or socket.gethostname()
    site = Site(
        agent=name,
        post=link,
        spool=Spool(options.data / "spool"),
        files=options.data / "files",
        opener=opener,
        stopping=stopping,
        trusted=options.trusted,
    )
    roster = HostRoster(keys=expand_devices(options.devices)) if Role.MEASURE in options.roles else NoDevices()
    agent = Agent(site=site, roster=roster, workers=Workers(engine, name), roles=options.roles)
    tell(f"The agent {name!r} {_doing(options.roles)} {options.place.url}. To stop it: Ctrl-C")
    serving = [asyncio.create_task(agent.run())]
    if Role.BUILD in options.roles:
        maker = Maker(name, link, options.data / "builds", stopping, trusted=options.trusted)
        serving.append(asyncio.create_task(asyncio.to_thread(maker.run)))
    await asyncio.wait((*serving, stop), return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    await asyncio.gather(*serving)
    link.close()


def _doing(roles: tuple[Role, ...]) -> str:
    match Role.MEASURE in roles, Role.BUILD in roles:
        case True, True:
            return "measures and builds for"
        case False, True:
            return "builds for"
        case _:
            return "serves"


def _check_roles(options: AgentOptions) -> None:
    """Raise `UsageError` for a host that would disturb its own measurements, and for devices that nobody would use."""
    if Role.BUILD not in options.roles:
        return
    if Role.MEASURE not in options.roles and options.devices:
        msg = f"--device {', '.join(options.devices)} is for a host that measures: add --role measure, or leave it out"
        raise UsageError(msg)
    here = [key for key in options.devices if key.partition(":")[0] == HOST]
    if here:
        msg = (
            f"device {here[0]!r} is this computer, and building on it would disturb its figures: "
            f"leave out --device {here[0]} or --role build"
        )
        raise UsageError(msg)


def _engine_when_there(link: Link, stopping: threading.Event, tell: Callable[[str], None]) -> Engine | None:
    """Wait for the scheduler and return its queue; None if the agent is stopped first."""
    failures = itertools.count()

    def tell_once(error: DepotError) -> None:
        if next(failures) == 0:
            tell(f"{error}. Waiting for it.")

    return ask_patiently(lambda: find_engine(link), stopping, note=tell_once)


def find_engine(link: Link) -> Engine:
    """Return where the queue of a farm is. Raises as `join` does."""
    hello = join(link)
    place = link.place
    address = farm_url(place.host, int(hello.engine))
    return Engine(address=address, security=engine_security(place.certs, dials_names=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFarm:
    """The engine of a run on a farm of many hosts."""

    engine: FarmEngine
    link: Link


@contextmanager
def remote_farm(place: FarmPlace, run: FarmRun) -> Iterator[RemoteFarm]:
    """Join the farm at ``place`` and yield the engine of ``run``. Raises `UsageError`, `DepotError`."""
    configure_engine()
    link = Link(place)
    find_engine(link)
    queue = DaskQueue(lambda: find_engine(link))
    engine = FarmEngine(run, link, queue)
    try:
        yield RemoteFarm(engine=engine, link=link)
    finally:
        engine.close()
        queue.close()
        link.close()


def read_status(place: FarmPlace) -> FarmStatus:
    """Return the state of the farm at ``place``. Raises `UsageError` if its version differs, `DepotError`."""
    link = Link(place)
    try:
        join(link)
        return link.status()
    finally:
        link.close()
