"""A browser as a device: each launch is a job that its page fetches, runs in a worker, and answers.

The page speaks the wire contract over loopback HTTP, so any browser can be served. What opens the page and watches over
it is an `Opener`.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from harness import __version__
from harness.devices.device import Execution
from harness.devices.local_jobs import LocalJobs
from harness.devices.replies import failed, read_reply
from harness.devices.web.memory import RendererMeter
from harness.devices.web.opener import Opener, Trouble
from harness.devices.web.probe import PageFacts, read_facts
from harness.devices.web.server import Event, Happening, PageServer, WebJob
from harness.errors import DeviceError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.runners.web.libraries import LIBRARIES
from harness.system.clock import Stopwatch
from harness.wire import OUTPUTS_FILE, Delegate, FailureKind, RunRequest, StateSample

WATCH_S = 1.0
# A page that has been opened reports what it is within a second; the first start of a browser takes longer.
PROBE_S = 60.0
# After the connection of a page breaks, the news that it crashed may take a moment.
_NEWS_S = 1.0

log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_page(opener: Opener, server: PageServer, key: str) -> Iterator[WebDevice]:
    """Return the device whose page ``opener`` opens, once the page has reported what it is. Raises `DeviceError`."""
    device = WebDevice(opener, server)
    try:
        device.prepare(key)
        yield device
    finally:
        device.clean()
        opener.end()
        server.close()


class WebDevice:
    """An open browser. `clean` may be called from another thread; it ends a launch in flight."""

    def __init__(self, opener: Opener, server: PageServer) -> None:
        self._opener, self._server = opener, server
        self._jobs = LocalJobs("web-jobs")
        self._info: DeviceInfo | None = None
        self._gpu_probed = False

    @property
    def info(self) -> DeviceInfo:
        if self._info is None:
            msg = "the browser has not been opened yet: enter the device first"
            raise DeviceError(msg)
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return self._opener.passively_cooled

    def prepare(self, key: str) -> PageFacts:
        """Open the browser once and ask its page what it is. Raises `DeviceError`."""
        facts = self.probe(gpu=False)
        self._info = self._opener.info(key)
        return facts

    def probe(self, *, gpu: bool) -> PageFacts:
        """Return what the page reports; with ``gpu`` in a browser that is to use WebGPU. Raises `DeviceError`."""
        job = WebJob(folder=self._jobs.folder("probe"), answers={"setup.json": lambda _: _setup(probe=True)})
        try:
            self._server.offer(job, fresh=not self._opener.reuses_page)
            self._opener.open(gpu=gpu)
            outcome = self._await(PROBE_S, [])
        finally:
            self._server.withdraw()
            self._opener.close()
        if not isinstance(outcome, bytes):
            why = outcome.message if outcome else f"it reported nothing within {PROBE_S:g} s"
            msg = f"the page cannot be run in the browser: {why}; update the browser, or try another one"
            raise DeviceError(msg)
        facts = read_facts(outcome)
        return self.probe(gpu=gpu) if self._opener.learn(facts, gpu=gpu) else facts

    def conditions(self) -> tuple[Condition, ...]:
        return self._opener.conditions()

    def readiness(self) -> Readiness:
        return self._opener.readiness()

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def push(self, path: Path, sha256: str) -> bool:
        return self._jobs.push(path, sha256)

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        gpu = request.runtime.delegate is Delegate.GPU
        if gpu and not self._gpu_probed:
            self.probe(gpu=True)
            self._gpu_probed = True
        request = self._answerable(request)
        watch: list[StateSample] = []
        folder = self._jobs.job(request, inputs, device=self.info.key)
        stopwatch = Stopwatch()
        try:
            self._server.offer(self._web_job(folder), fresh=not self._opener.reuses_page)
            self._opener.open(gpu=gpu)
            outcome = self._await(deadline_s, watch)
        finally:
            took_ns = stopwatch.passed_ns()
            self._server.withdraw()
            self._opener.close()
        if isinstance(outcome, bytes):
            execution = read_reply(outcome, request, folder / OUTPUTS_FILE, took_ns=took_ns)
        elif outcome is None:
            message = f"the page gave no reply within {deadline_s:g} s and was closed"
            execution = failed(request, FailureKind.TIMEOUT, message)
        else:
            execution = failed(request, outcome.kind, outcome.message, detail=outcome.detail)
        return replace(execution, watch=tuple(watch))

    def clean(self) -> None:
        self._server.withdraw()
        self._opener.close()
        self._jobs.clean()

    def _answerable(self, request: RunRequest) -> RunRequest:
        """Ask for no memory where it cannot be read: a reply without it would else be taken for a broken one."""
        if self._opener.reads_memory:
            return request
        return replace(request, passes=replace(request.passes, memory=None))

    def _web_job(self, folder: Path) -> WebJob:
        meter = RendererMeter(candidates=self._opener.renderers)
        return WebJob(
            folder=folder,
            answers={
                "setup.json": lambda _: _setup(probe=False),
                "state": lambda _: msgspec.json.encode(self._opener.state()),
                "renderers": meter.look,
                "memory": meter.read,
            },
        )

    def _await(self, deadline_s: float, watch: list[StateSample]) -> bytes | Trouble | None:
        """Wait for the reply. Return it, or why there will be none; None at the deadline."""
        deadline = time.monotonic() + deadline_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._server.events.get(timeout=min(WATCH_S, left))
            except queue.Empty:
                state = self._opener.state()
                watch += [state] if state else []
                continue
            outcome = self._outcome(event)
            if outcome is not None:
                return outcome
        return None

    def _outcome(self, event: Event) -> bytes | Trouble | None:
        text = event.data.decode(errors="replace")
        match event.kind:
            case Happening.REPLY:
                return event.data
            case Happening.BROKEN:
                return Trouble(kind=FailureKind.CRASH, message=f"the page's worker failed: {text}", detail=text)
            case Happening.FILES:
                raise DeviceError(text)
            case Happening.GONE:
                return self._gone()
            case Happening.CONNECTED:
                log.info("connected: %s", text)
                return None

    def _gone(self) -> Trouble:
        """Return why the page that had the job went away."""
        until = time.monotonic() + _NEWS_S
        while time.monotonic() < until:
            trouble = self._opener.trouble()
            if trouble is not None:
                return trouble
            time.sleep(0.05)
        return Trouble(kind=FailureKind.LOST, message="the page was closed or reloaded during the launch")


def _setup(*, probe: bool) -> bytes:
    libraries = {
        format_.value: {"folder": library.folder, "version": library.version} for format_, library in LIBRARIES.items()
    }
    return msgspec.json.encode({"version": __version__, "probe": probe, "libraries": libraries})
