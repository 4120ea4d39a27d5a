"""The workers of an agent: one per device, each with one thread, so that no accounting decides what runs on a device.

They belong to the queue, which is Dask's. A device is taken offline by closing its worker: changing the resources of a
worker does not wake up cells that wait for them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import pickle
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import MissingPackageError
from harness.farm.bench import Bench
from harness.farm.work import Work

if TYPE_CHECKING:
    from distributed import Security, Worker

# A worker that the scheduler has not heard of for TTL_S has gone. Both are far above what a busy host needs.
HEARTBEAT_S, TTL_S = 10, 60
# How long a worker may take to join. It gives up and closes itself first; whoever waits for it does so a little longer.
JOIN_S, CLOSE_S = 30.0, 10.0

log = logging.getLogger(__name__)


def wrapped(work: Work) -> bytes:
    """Return work as the queue carries it. As bytes, the scheduler passes it on without looking into it."""
    return pickle.dumps(work)


def measure_on_device(work: bytes) -> str:
    """Run a cell, which `wrapped` returned, on the device of the worker that calls this. It is what the queue runs."""
    from distributed import get_worker

    worker: Any = get_worker()
    bench: Bench = worker.bench
    return bench.run(pickle.loads(work))


def resource_of(key: str) -> str:
    """Return the resource of the one worker that has the device ``key``."""
    return f"device {key}"


def task_key(work: Work, number: str) -> tuple[str, ...]:
    """Return the key of a task. Its first part is the same for all, or the queue would remember every one for ever."""
    return "cell", number, work.device, work.run, work.cell


def resources_of_task(key: tuple[str, ...]) -> dict[str, int]:
    """Return what the worker of a task needs. The scheduler asks for it, so that many tasks travel in one message."""
    return {resource_of(key[2]): 1}


def class_of(kind: str, model: str) -> str:
    """Return the resource of all workers that have a device of one model."""
    return f"class {kind} {model}"


def configure_engine() -> None:
    """Set what this process uses of Dask: no pages, no profiler, no memory limits, and explicit time limits.

    Raises `MissingPackageError`.
    """
    try:
        import dask
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(package="distributed", extra="farm", purpose="measuring on a farm") from error
    settings: dict[str, Any] = {
        "distributed.scheduler.worker-ttl": f"{TTL_S}s",
        # The owner of a run decides what is tried again, and counts attempts.
        "distributed.scheduler.allowed-failures": 3,
        # Cells wait for a device, and a device that joins late gets its share: never with stealing off.
        "distributed.scheduler.work-stealing": True,
        "distributed.worker.profile.enabled": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        # Results are words, and no worker has those of another one.
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.admin.tick.interval": "500ms",
        "distributed.admin.tick.limit": "30s",
        "distributed.admin.system-monitor.interval": "30s",
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.admin.low-level-log-length": 0,
        "distributed.comm.timeouts.connect": "10s",
        "distributed.comm.timeouts.tcp": "30s",
    }
    dask.config.set(settings)
    # A busy disk makes it slow to join, and nobody can do anything about the folder that the warning is about.
    warnings.filterwarnings("ignore", message="Creating scratch directories", category=UserWarning)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def without_pages(kind: type[Any]) -> type[Any]:
    """Return a scheduler or worker class of Dask without its web server, which would listen without encryption.

    It does so even where its dashboard is switched off.
    """

    class Quiet(kind):  # type: ignore[misc]
        def start_http_server(self, *_: Any, **__: Any) -> None:
            self.http_server = None

    return Quiet


@functools.cache
def _worker_class() -> type[Any]:
    """Return the class of workers that do not report more often than they should.

    The scheduler answers each report with the time until the next one, which is a second for up to 50 workers.
    """
    from distributed import Worker

    class Patient(without_pages(Worker)):  # type: ignore[misc]
        async def heartbeat(self) -> None:
            await super().heartbeat()
            report = self.periodic_callbacks["heartbeat"]
            report.callback_time = max(report.callback_time, 1000 * HEARTBEAT_S)

    return Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where the queue is. ``security`` is None inside one process."""

    address: str
    security: Security | None = None


class Workers:
    """The workers of one agent, by device."""

    def __init__(self, engine: Engine, agent: str, *, host: str | None = None) -> None:
        self._engine, self._agent, self._host = engine, agent, host
        self._workers: dict[str, Worker] = {}

    def open(self) -> frozenset[str]:
        """Return the devices whose worker is connected to the queue."""
        return frozenset(key for key, worker in self._workers.items() if _runs(worker))

    async def add(self, bench: Bench, kind: str, model: str) -> bool:
        """Offer a device to the queue; return False if the queue cannot be reached now."""
        await self.remove(bench.key)
        options: dict[str, Any] = {} if self._host is None else {"host": self._host}
        try:
            worker: Any = _worker_class()(
                self._engine.address,
                nthreads=1,
                name=f"{self._agent} {bench.key}",
                resources={resource_of(bench.key): 1, class_of(kind, model): 1},
                security=self._engine.security,
                heartbeat_interval=f"{HEARTBEAT_S}s",
                death_timeout=JOIN_S,
                memory_limit=0,
                dashboard=False,
                **options,
            )
            worker.bench = bench
            await asyncio.wait_for(worker, JOIN_S + CLOSE_S)
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            log.info("%s cannot join the queue: %s", bench.key, error)
            return False
        self._workers[bench.key] = worker
        return True

    async def remove(self, key: str) -> None:
        """Take a device out of the queue. A cell that runs on it goes on until its bench is closed."""
        worker = self._workers.pop(key, None)
        if worker is not None and _runs(worker):
            await worker.close(timeout=2, executor_wait=False, reason="device offline", nanny=False)

    async def close(self) -> None:
        """Take every device out of the queue."""
        await asyncio.gather(*(self.remove(key) for key in tuple(self._workers)))


def _runs(worker: Worker) -> bool:
    from distributed.core import Status

    return worker.status in (Status.running, Status.paused)
