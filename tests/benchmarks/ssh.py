"""What the driver of boards costs, against ssh and scp by hand, on a real ssh server on loopback.

``make benchmark ARGS=ssh``; needs openssh-server and root.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import platformdirs

from harness.devices.ssh.board_device import SshBoard
from harness.spec.phone_settings import DEFAULT_SETTINGS
from harness.wire import encode
from tests.devices.android.jobs import make_work
from tests.devices.ssh.lab import Lab

FILE_BYTES = 100 << 20
TIMES = 7


def ssh(folder: Path) -> None:
    """Print ratios; both sides take turns, so that they see the same machine."""
    lab = Lab(folder / "lab")
    lab.prepare()
    cache = lab.folder / "cache" / "phonebench"
    cache.mkdir(parents=True)
    (cache / "board-wheels").symlink_to(platformdirs.user_cache_path("phonebench") / "board-wheels")
    before = dict(os.environ)
    os.environ.update(lab.environment())
    try:
        with lab.loopback({"one": lab.folder / "one", "two": lab.folder / "two"}):
            _files(lab, folder)
            _first_sample(lab, folder)
            _devices(folder)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _files(lab: Lab, folder: Path) -> None:
    """Push and pull of 100 MiB against scp over a control connection."""
    source, target = folder / "source", folder / "target"
    board = SshBoard("ssh:one", DEFAULT_SETTINGS, lab.folder / "cache" / "phonebench")
    board.prepare()
    connection = board._connection
    assert connection is not None
    control = ["-q", "-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/c", "-o", "ControlPersist=60"]
    scp = ["scp", "-S", str(lab.folder / "bin" / "ssh"), *control]
    there = lab.folder / "one" / "copy"
    # Where the agent reads a pulled file.
    job = lab.folder / "one" / "phonebench" / "jobs" / "bench"
    job.mkdir(parents=True)
    pushes, pulls, theirs_up, theirs_down = [], [], [], []
    for _ in range(TIMES):
        source.write_bytes(secrets.token_bytes(FILE_BYTES))
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        pushes.append(took(lambda digest=digest: board.push(source, digest)))  # type: ignore[misc]
        theirs_up.append(took(lambda: run([*scp, str(source), f"one:{there}"])))
        (job / "outputs.bin").unlink(missing_ok=True)
        (job / "outputs.bin").hardlink_to(there)
        pulls.append(took(lambda: connection.get("bench", "outputs.bin", target)))
        theirs_down.append(took(lambda: run([*scp, f"one:{there}", str(target)])))
    subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={folder}/c", "one"], capture_output=True, check=False)
    shutil.rmtree(job)
    board.clean()
    for name, ours, theirs in (("push", pushes, theirs_up), ("pull", pulls, theirs_down)):
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        print(
            f"{name} of 100 MiB: {median(ours):.2f} s, scp {median(theirs):.2f} s, ratio {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


def _first_sample(lab: Lab, folder: Path) -> None:
    """From the command to the first sample on a board that has everything, against ssh and python -m by hand."""
    work = make_work(folder)
    model = work.model.rename(folder / "net.onnx")
    command = [sys.executable, "-m", "harness", "run", str(model), "-d", "ssh:one", "--results", str(folder / "r")]
    command += ["--cache-dir", str(folder / "built")]
    run(command)
    store = lab.folder / "one" / "phonebench"
    job = folder / "job"
    job.mkdir()
    (job / "request.json").write_bytes(encode(work.request))
    shutil.copy(model, job / "model.onnx")
    shutil.copy(work.inputs, job / "inputs.bin")
    path = ":".join(str(tree) for tree in (store / "trees").iterdir())
    by_hand = ["ssh", "one", f"PYTHONPATH={path} python3 -s -P -m harness.runners.host {job}"]
    ours, theirs = [], []
    for _ in range(TIMES):
        ours.append(until_sample(command, store / "jobs"))
        (job / "runner.log").unlink(missing_ok=True)
        theirs.append(until_sample([*by_hand[:2], f"{by_hand[2]} > {job}/runner.log"], folder))
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"to the first sample of a warm board: {median(ours):.2f} s, by hand {median(theirs):.2f} s, "
        f"{median(differences):+.2f} s ({min(differences):+.2f} to {max(differences):+.2f})"
    )


def until_sample(command: list[str], jobs: Path) -> float:
    """Seconds from the start of a command until a runner below ``jobs`` has loaded its model; then it is ended."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = 0.0
    while not seconds and process.poll() is None:
        if any(b"loaded" in log.read_bytes() for log in jobs.glob("*/runner.log")):
            seconds = time.perf_counter() - began
        time.sleep(0.005)
    process.wait()
    return seconds or time.perf_counter() - began


def _devices(folder: Path) -> None:
    """``phonebench devices`` with two boards that were used before, against none."""
    command = [sys.executable, "-m", "harness", "devices"]
    for name in ("one", "two"):
        run([sys.executable, "-m", "harness", "run", str(folder / "net.onnx"), "-d", f"ssh:{name}",
             "--results", str(folder / "r"), "--cache-dir", str(folder / "built")])  # fmt: skip
    none = {"XDG_CACHE_HOME": str(folder / "empty")}
    differences = []
    for _ in range(TIMES):
        differences.append(took(lambda: run(command)) - took(lambda: run(command, none)))
    print(f"devices with two boards: {median(differences):+.2f} s ({min(differences):+.2f} to {max(differences):+.2f})")


def took(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}))
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")
