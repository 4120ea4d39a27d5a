"""``make benchmark``: what phonebench itself costs. Prints ratios and seconds; asserts nothing.

``make benchmark ARGS='overhead start'`` runs a part: overhead, warm, start, runner, cold, matrix, history, phone,
phone-run, ssh, ios, changes, web, dashboard,
dashboard-server, signing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.devices.registry import open_device
from harness.measure.cell import measure
from harness.measure.job import Job
from harness.measure.request import make_request
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build, make_cell
from harness.plan.plan import make_plan
from harness.progress import Silent
from harness.records.measurement import CellStatus
from harness.runners.web.libraries import LIBRARIES
from harness.spec.profiles import PROFILES, ProfileName
from harness.spec.spec import Spec
from harness.system.clock import utc_now
from harness.wire import Delegate, Format, LatencyPass, MeasurePass, Passes, RunRequest, WarmupPass
from tests.artifacts.orders import order
from tests.benchmarks.changes import changes
from tests.benchmarks.dashboard import dashboard, dashboard_server
from tests.benchmarks.history import history
from tests.benchmarks.ios import ios
from tests.benchmarks.language import language
from tests.benchmarks.phone import phone
from tests.benchmarks.phone_run import phone_run
from tests.benchmarks.quality import quality
from tests.benchmarks.signing import signing
from tests.benchmarks.ssh import ssh
from tests.benchmarks.web import web

ROOT = Path(__file__).parents[2]
PAIRS = 5
SECONDS = 3.0
CELLS = (
    ("fp32", Format.TFLITE, Delegate.XNNPACK),
    ("int8", Format.TFLITE, Delegate.XNNPACK),
    ("fp32", Format.ONNX, Delegate.CPU),
    ("fp32", Format.PTE, Delegate.XNNPACK),
    ("fp32", Format.PTL, Delegate.CPU),
)


class NothingKept:
    """A keeper that keeps nothing."""

    def keep(self, data: bytes, suffix: str) -> str:
        """Forget ``data``."""
        return f"{len(data)}{suffix}"


def jobs(folder: Path) -> list[Job]:
    """The cells above, built in a cache of their own."""
    card = resolve("digits", ModelOptions())
    cells = [make_cell("digits", v, f, d, 1, "host", ProfileName.QUICK) for v, f, d in CELLS]
    outcome = build_artifacts(order([card], [c.build for c in cells]), Cache(folder), Silent())
    return [
        Job(
            cell=cell,
            card=card,
            artifact=outcome.artifacts[cell.build],
            model=outcome.models["digits"],
            profile=PROFILES[ProfileName.QUICK],
        )
        for cell in cells
    ]


def overhead(folder: Path) -> None:
    """The latency that the harness reports against a bare loop on the same file, in turn."""
    for job in jobs(folder):
        ratios, differences = [], []
        for _ in range(PAIRS):
            ours, bare = measured_ns(job), bare_ns(job, folder)
            ratios.append(ours / bare)
            differences.append((ours - bare) / 1000)
        print(
            f"overhead {job.cell.variant} {job.cell.format.value}: harness / bare loop {median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f}), difference {median(differences):+.2f} µs"
        )


def measured_ns(job: Job) -> float:
    """What the harness reports."""
    with open_device("host") as device:
        measurement = measure(job, device, NothingKept(), utc_now)
    if measurement.status is not CellStatus.OK or measurement.latency is None:
        sys.exit(f"{job.cell.key}: {measurement.reason}")
    return measurement.latency.median_ns


def bare_ns(job: Job, folder: Path) -> float:
    """What a bare loop prints."""
    inputs = folder / "input.npy"
    np.save(inputs, job.model.test_inputs()[0][0])
    script = Path(__file__).with_name("bare.py")
    command = [sys.executable, str(script), job.cell.format.value, str(job.artifact.path), str(SECONDS), str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread())
    return float(done.stdout.split()[-1])


def one_thread() -> dict[str, str]:
    """The environment with numeric libraries on one thread, as the host device sets it."""
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def warm(folder: Path) -> None:
    """The build stage of a second run: nothing built, no torch."""
    outcome_of_all(folder)
    code = (
        "import sys, time; from pathlib import Path; from tests.benchmarks.__main__ import outcome_of_all;"
        "began = time.perf_counter(); outcome = outcome_of_all(Path(sys.argv[1]));"
        "print(time.perf_counter() - began, outcome.built, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    seconds, built, torch = done.stdout.split()
    print(f"warm build stage: {float(seconds):.3f} s, {built} artifacts built, torch imported: {torch}")


def outcome_of_all(folder: Path) -> BuildOutcome:
    """Build everything that ``phonebench run`` builds by default."""
    card = resolve("digits", ModelOptions())
    return build_artifacts(order([card], default_builds()), Cache(folder), Silent())


def default_builds() -> list[Build]:
    """The sixteen builds of the default run."""
    return list(make_plan(Spec(), (resolve("digits", ModelOptions()),), None).builds)


def start(folder: Path) -> None:
    """How long the command line takes to start, against importing click."""
    results = folder / "results"
    run = ["run", "--device", "fake", "--results", str(results), "--cache-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "harness", *run], check=True, capture_output=True, cwd=ROOT)
    base = [sys.executable, "-c", "import click"]
    for name, args in (("--help", ["--help"]), ("show", ["show", "--results", str(results)])):
        ratios = [timed([sys.executable, "-m", "harness", *args]) / timed(base) for _ in range(3 * PAIRS)]
        print(f"phonebench {name} / import click: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def timed(command: list[str]) -> float:
    """Wall seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - began


def runner(folder: Path) -> None:
    """From the start of the runner process to after its first two calls and its end: an upper bound of the first."""
    few = LatencyPass(
        warmup=WarmupPass(min_calls=0, min_ns=0), measure=MeasurePass(min_calls=1, min_ns=0, max_ns=1_000_000_000)
    )
    for job in jobs(folder):
        with open_device("host") as device:
            if job.artifact.path is None:
                sys.exit(f"{job.cell.key}: {job.artifact.manifest.reason}")
            device.push(job.artifact.path, job.artifact.manifest.sha256 or "")
            request = replace_passes(job, few)
            seconds = []
            for _ in range(PAIRS):
                began = time.perf_counter()
                device.execute(request, job.model.inputs_path, 60.0)
                seconds.append(time.perf_counter() - began)
        print(f"runner {job.cell.format.value}: start, load, two calls and end in {median(seconds):.2f} s")


def replace_passes(job: Job, latency: LatencyPass) -> RunRequest:
    """The job's request with a latency pass only."""
    return replace(make_request(job, 0), passes=Passes(latency=latency))


def cold(folder: Path) -> None:
    """Building the sixteen artifacts with an empty cache: wall time, and the most memory of all processes together."""
    build_command("cold build", ["digits", "--cache-dir", str(folder / "cold")])


def matrix(folder: Path) -> None:
    """Building the whole matrix of efficientnet_lite0 with an empty cache, and once more with a full one."""
    spec = ROOT / "models" / "specs" / "efficientnet_lite0.toml"
    for name in ("cold matrix", "warm matrix"):
        build_command(name, ["--spec", str(spec), "--cache-dir", str(folder / "matrix")])


def build_command(name: str, args: list[str]) -> None:
    """Run ``phonebench build`` and print what it took."""
    command = [sys.executable, "-m", "harness", "build", *args, "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    peak = Peak(process.pid)
    output = process.communicate()[0]
    seconds = time.perf_counter() - began
    found = json.loads(output)
    states = Counter(artifact["state"] for artifact in found["artifacts"])
    listed = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    memory = f"peak {peak.stop() / 1e9:.2f} GB over all processes"
    print(f"{name}: {found['built']} artifacts in {seconds:.1f} s, {memory} ({listed})")


class Peak:
    """Samples the proportional set size of a process and its children ten times a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """Return the largest sum, bytes."""
        self._stop.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            total = 0
            try:
                for process in (self._root, *self._root.children(recursive=True)):
                    total += process.memory_full_info().pss
            except psutil.Error:
                continue
            self._peak = max(self._peak, total)


PARTS: dict[str, Callable[[Path], None]] = {
    "cold": cold,
    "matrix": matrix,
    "warm": warm,
    "start": start,
    "runner": runner,
    "overhead": overhead,
    "history": history,
    "dashboard": dashboard,
    "dashboard-server": dashboard_server,
    "signing": signing,
    "phone": phone,
    "phone-run": phone_run,
    "quality": quality,
    "ssh": ssh,
    "ios": ios,
    "changes": changes,
    "language": language,
    "web": lambda folder: web(
        [job for job in jobs(folder) if job.cell.format in LIBRARIES and job.cell.variant == "fp32"]
    ),
}


def main() -> None:
    """Run the parts named, or all."""
    names = sys.argv[1:] or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="phonebench-benchmark-") as folder:
        for name in names:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
