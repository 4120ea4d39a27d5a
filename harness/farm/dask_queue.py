"""The queue of an engine on Dask: one task per cell, which only the worker with its device can run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from harness.farm.engine import TaskState
from harness.farm.link import DepotError
from harness.farm.work import Work
from harness.farm.workers import Engine, measure_on_device, resources_of_task, task_key, wrapped

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

    def submit(self, works: Sequence[Work], *, priority: int) -> Sequence[object]:
        client = self._connected()
        tickets: Sequence[object] = client.map(
            measure_on_device,
            [wrapped(work) for work in works],
            key=[task_key(work, f"{self._name}{next(self._numbers)}") for work in works],
            # One for all tasks or a function of the key; the type of the argument knows only the first.
            resources=cast("dict[str, Any]", resources_of_task),
            priority=priority,
            # What was submitted earlier starts first.
            fifo_timeout="0s",
            pure=False,
        )
        return tickets

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
