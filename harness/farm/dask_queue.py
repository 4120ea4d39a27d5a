"""The queue of an engine on Dask: one task per cell, which only the worker with its device can run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.farm.engine import TaskState
from harness.farm.link import DepotError
from harness.farm.work import Work
from harness.farm.workers import Engine, measure_on_device, resource_of

if TYPE_CHECKING:
    from distributed import Client

# How long a lost scheduler is waited for in one go; the engine asks again until its patience ends.
CONNECT_S = 30.0

log = logging.getLogger(__name__)


class DaskQueue:
    """Submits cells to a Dask scheduler. A scheduler that was started again is found, and knows none of them."""

    def __init__(self, find: Callable[[], Engine], loop: Any = None) -> None:
        self._find, self._loop = find, loop
        self._client: Client | None = None
        # Keys of an earlier engine must not be taken for ours: the scheduler may still know their tasks.
        self._name, self._numbers = secrets.token_hex(4), itertools.count()

    def submit(self, work: Work, *, priority: int) -> object:
        client = self._connected()
        key = f"{work.run}|{work.cell}|{self._name}{next(self._numbers)}"
        resources = {resource_of(work.device): 1}
        return client.submit(measure_on_device, work, key=key, resources=resources, priority=priority, pure=False)

    def state(self, ticket: Any) -> TaskState:
        if self._client is None or ticket.client is not self._client or not _is_connected(self._client):
            return TaskState.BROKEN
        match ticket.status:
            case "pending":
                return TaskState.WAITING
            case "finished":
                return TaskState.ENDED
            case _:
                return TaskState.BROKEN

    def release(self, ticket: Any) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            ticket.release()

    def close(self) -> None:
        """Leave the scheduler, which then drops what has not started."""
        if self._client is not None:
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                self._client.close(timeout=2)
            self._client = None

    def _connected(self) -> Client:
        """Return the client, connected again if the scheduler had gone. Raises `DepotError`."""
        if self._client is not None and _is_connected(self._client):
            return self._client
        self.close()
        from distributed import Client

        engine = self._find()
        try:
            self._client = Client(
                engine.address,
                security=engine.security,
                timeout=CONNECT_S,
                set_as_default=False,
                loop=self._loop,
                direct_to_workers=False,
                name=f"phonebench-{self._name}",
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            msg = f"the scheduler at {engine.address} does not answer ({error}): check that it runs"
            raise DepotError(msg) from error
        return self._client


def _is_connected(client: Client) -> bool:
    return client.status == "running"
