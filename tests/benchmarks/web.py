"""What the web runner adds to a call, against a loop in a bare page; and what listing browsers costs."""

from __future__ import annotations

import http.server
import shutil
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from harness.devices.web.browsers import find_browser
from harness.devices.web.open import open_web
from harness.devices.web.process import WITHOUT_GPU, Browser
from harness.devices.web.server import ISOLATION
from harness.measure.job import Job
from harness.measure.request import job_feed, make_request
from harness.runners.web.libraries import LIBRARIES, default_store
from harness.wire import LatencyPass, MeasurePass, Passes, WarmupPass

PAIRS = 5
SECONDS = 2.0
BARE = Path(__file__).with_name("bare_worker.js")


def web(jobs: list[Job]) -> None:
    """Each job in the web runner and in a bare page, in turn, in the same browser program.

    The public interface of LiteRT.js, which the bare page uses, takes no int8 files.
    """
    with open_web("web:chromium") as device:
        for job in jobs:
            assert job.artifact.path is not None
            device.push(job.artifact.path, job.artifact.manifest.sha256 or "")
            ratios, differences = [], []
            for number in range(PAIRS):
                bare = bare_ns(job)
                ours = tenth(samples(device, job, number))
                ratios.append(ours / bare)
                differences.append((ours - bare) / 1000)
            print(
                f"web {job.cell.variant} {job.cell.format.value}: web runner / bare page {median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f}), difference {median(differences):+.2f} µs"
            )


def samples(device: Any, job: Job, number: int) -> tuple[int, ...]:
    """The samples of one launch in the web runner, in ns per call."""
    half = round(SECONDS * 1e9)
    latency = LatencyPass(
        warmup=WarmupPass(min_calls=1, min_ns=half), measure=MeasurePass(min_calls=1, min_ns=half, max_ns=10 * half)
    )
    request = replace(make_request(job, number), passes=Passes(latency=latency))
    reply = device.execute(request, job_feed(job).path, 120).reply
    if reply.latency is None:
        sys.exit(f"{job.cell.key}: {reply.failure}")
    times: tuple[int, ...] = reply.latency.samples_ns
    return times


def tenth(times: tuple[int, ...]) -> int:
    """The 10th percentile, which other work on this computer changes least."""
    return sorted(times)[len(times) // 10]


def bare_ns(job: Job) -> float:
    """What the loop in a bare page measures, in ns per call."""
    assert job.artifact.path is not None
    library = LIBRARIES[job.cell.format]
    with TemporaryDirectory(prefix="phonebench-bare-page-") as name:
        folder = Path(name)
        shutil.copytree(default_store() / library.folder, folder, dirs_exist_ok=True)
        index = folder / "index.js"
        if index.exists():
            index.write_text(index.read_text().replace("@litertjs/wasm-utils", "./wasm_utils.js"))
        (folder / "index.html").write_text("<!doctype html><title>a bare page</title>")
        shutil.copy(BARE, folder)
        shutil.copy(job.artifact.path, folder / f"model.{job.cell.format.value}")
        shutil.copy(job_feed(job).path, folder / "inputs.bin")
        (folder / "browser").mkdir()
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Isolated, directory=name)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = Browser(find_browser("chromium"), folder / "browser", WITHOUT_GPU, lambda *_: None, patience_s=60)
            try:
                return _measured(browser, f"http://localhost:{server.server_address[1]}/", job.cell.format.value)
            finally:
                browser.end()
                server.shutdown()


def _measured(browser: Browser, link: str, format_: str) -> float:
    session = browser.open_page(link)
    time.sleep(1)
    asked = {
        # The first document is empty, and the page replaces it a moment later.
        "expression": "(async () => { while (location.protocol !== 'http:') await new Promise(d => setTimeout(d, 50)); "
        "const worker = new Worker('bare_worker.js'); return new Promise((done, fail) => { "
        "worker.onmessage = ({ data }) => done(data); worker.onerror = (event) => fail(Error(event.message)); "
        f"worker.postMessage({{ format: '{format_}', seconds: {SECONDS} }}); }}); }})()",
        "awaitPromise": True,
        "returnByValue": True,
    }
    answer = browser.devtools.call("Runtime.evaluate", asked, session=session)
    if "exceptionDetails" in answer:
        sys.exit(f"the bare page failed: {answer['exceptionDetails']}")
    return float(answer["result"]["value"])


class _Isolated(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        for name, value in ISOLATION.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""
