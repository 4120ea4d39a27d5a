"""The loop of the worker: a request is a line of JSON on standard input, an answer is one on standard output.

A request is ``{"id", "do", "seconds", …}``. The answer has its ``id`` and either ``ok`` with the result, or ``trouble``
and ``text``. Requests run side by side, each with a deadline of its own, and are answered as they end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

Operation = Callable[..., Awaitable[Any]]


def serve() -> None:
    """Answer requests until standard input ends."""
    # A terminal sends Ctrl-C to this process too. phonebench then ends it, once the app on the phone is stopped.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _own_standard_output()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    started = time.monotonic()
    from harness.devices.ios.worker.operations import OPERATIONS, Phone, explain

    hello = {"id": 0, "ok": {"import_ms": round(1000 * (time.monotonic() - started))}}
    answers.write(json.dumps(hello) + "\n")
    asyncio.run(_Server(answers, OPERATIONS, Phone(), explain).run())


def _own_standard_output() -> TextIO:
    """Keep standard output for answers: whatever a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return answers


class _Server:
    def __init__(
        self,
        answers: TextIO,
        operations: dict[str, Operation],
        phone: Any,
        explain: Callable[[BaseException], tuple[str, str]],
    ) -> None:
        self._answers, self._operations, self._phone, self._explain = answers, operations, phone, explain
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[str | None] = asyncio.Queue()

        # A thread, because Windows cannot wait for a pipe in an event loop.
        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

        threading.Thread(target=read, daemon=True).start()
        while (line := await lines.get()) is not None:
            task = asyncio.create_task(self._answer(json.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # phonebench has gone, or is done. What the phone still runs for it is stopped here, if the phone answers.
        try:
            async with asyncio.timeout(3):
                await self._phone.close()
        except Exception as error:  # the process ends in any case
            logging.getLogger(__name__).info("the phone was not closed: %s", error)
        os._exit(0)

    async def _answer(self, request: dict[str, Any]) -> None:
        number, name, seconds = request.pop("id"), request.pop("do"), request.pop("seconds")
        answer: dict[str, Any] = {"id": number}
        try:
            async with asyncio.timeout(seconds):
                answer["ok"] = await self._operations[name](self._phone, **request)
        except Exception as error:  # every failure becomes an answer, or the caller would wait for ever
            answer["trouble"], answer["text"] = self._explain(error)
        self._answers.write(json.dumps(answer) + "\n")
