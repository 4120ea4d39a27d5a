"""A farm of real processes: certificates, a scheduler, agents with scripted phones, and networks that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.farm.certs import make_authority, make_certificate
from harness.farm.host_agent import read_status
from harness.farm.link import DepotError
from harness.farm.status import DeviceState, FarmStatus
from harness.farm.tls import FarmPlace

ROOT = Path(__file__).parents[2]
# Every wait ends: a loaded machine starts a process in seconds.
PATIENCE_S = 120.0
SKEW_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += atol(getenv("SKEW_S"));
    return result;
}
"""


@dataclass
class Process:
    """A process of the farm that can be killed and started again."""

    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | self.environment
            )

    def kill(self) -> None:
        """End it with SIGKILL, by its id."""
        if self.running is not None:
            self.running.kill()
            self.running.wait(PATIENCE_S)

    def stop(self) -> int:
        """End it with SIGTERM, as an operator does, and return its exit code."""
        assert self.running is not None
        self.running.send_signal(signal.SIGTERM)
        try:
            return self.running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@dataclass(frozen=True, kw_only=True)
class Agents:
    """How many agents there are, the phones of each, and how long a launch takes."""

    count: int
    phones: int
    seconds: float

    def keys(self, agent: int | None = None) -> list[str]:
        which = range(self.count) if agent is None else (agent,)
        return [f"fake:{1 + a * self.phones + n}" for a in which for n in range(self.phones)]


class Lab:
    """The processes of one farm below ``folder``; ``networks``: every agent in a network namespace of its own."""

    def __init__(self, folder: Path, agents: Agents, *, networks: bool = False, skew_s: tuple[int, ...] = ()) -> None:
        self.folder, self.agents, self._networks, self._skew_s = folder, agents, networks, skew_s
        self.log = folder / "launches.log"
        self.ports = _free_port(), _free_port()
        names = ["localhost", "127.0.0.1", *(_gateway(a) for a in range(agents.count))]
        make_authority(folder / "certs")
        for name in ("scheduler", "rack", "owner"):
            make_certificate(folder / "certs", name, names if name == "scheduler" else ())
        self.place = FarmPlace(host="localhost", port=self.ports[0], certs=folder / "certs" / "owner")
        self.scheduler = Process(self._scheduler(), folder / "scheduler.log")
        self.hosts = [self._agent(a) for a in range(agents.count)]
        self._stack = ExitStack()

    def start(self) -> None:
        if self._networks:
            for agent in range(self.agents.count):
                self._stack.enter_context(namespace(agent))
        for process in (self.scheduler, *self.hosts):
            process.start()

    def stop(self) -> None:
        for process in (*self.hosts, self.scheduler):
            process.kill()
        self._stack.close()

    def cut(self, agent: int, *, whole: bool) -> None:
        """Cut or restore the link between an agent and everybody else."""
        _run("ip", "link", "set", f"pbh{agent}", "up" if whole else "down")

    def wait_for(self, ready: Callable[[FarmStatus], bool], patience_s: float = PATIENCE_S) -> FarmStatus:
        ends_s, status = time.monotonic() + patience_s, None
        while time.monotonic() < ends_s:
            with contextlib.suppress(DepotError):
                status = read_status(self.place)
                if ready(status):
                    return status
            time.sleep(0.2)
        logs = "\n".join(p.output[-1000:] for p in (self.scheduler, *self.hosts))
        msg = f"the farm did not get there in {patience_s:.0f} s: {status}\n{logs}"
        raise TimeoutError(msg)

    def wait_until_there(self) -> None:
        """Wait until the farm has every phone."""
        count = len(self.agents.keys())
        self.wait_for(lambda status: sum(one.state is not DeviceState.AWAY for one in status.devices) == count)

    def _scheduler(self) -> list[str]:
        options = ["--certs", str(self.folder / "certs" / "scheduler"), "--data", str(self.folder / "depot")]
        host = "0.0.0.0" if self._networks else "127.0.0.1"
        ports = ["--host", host, "--port", str(self.ports[0]), "--engine-port", str(self.ports[1])]
        return [sys.executable, "-m", "harness", "farm", "scheduler", *options, *ports]

    def _agent(self, number: int) -> Process:
        keys = self.agents.keys(number)
        host = _gateway(number) if self._networks else "localhost"
        command = [sys.executable, "-m", "tests.farm.agent_process"]
        command += [f"tls://{host}:{self.ports[0]}", str(self.folder / "certs" / "rack")]
        command += [str(self.folder / f"agent{number}"), f"rack{number}", ",".join(keys)]
        command += [str(self.log), str(self.agents.seconds)]
        if self._networks:
            command = ["ip", "netns", "exec", f"pbn{number}", *command]
        environment = {}
        if number < len(self._skew_s) and self._skew_s[number]:
            library = skew_library(self.folder)
            environment = {"LD_PRELOAD": str(library), "SKEW_S": str(self._skew_s[number])}
        return Process(command, self.folder / f"agent{number}.log", environment)


@contextmanager
def running(lab: Lab) -> Iterator[Lab]:
    """Start the processes of a lab and wait for its phones; end them afterwards."""
    try:
        lab.start()
        lab.wait_until_there()
        yield lab
    finally:
        lab.stop()


@contextmanager
def namespace(number: int) -> Iterator[None]:
    """Make a network namespace with one link to ours; needs root and iproute2."""
    name, here, there = f"pbn{number}", f"pbh{number}", f"pbg{number}"
    with contextlib.suppress(subprocess.CalledProcessError):
        _run("ip", "netns", "del", name)
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        _run("ip", "addr", "add", f"{_gateway(number)}/24", "dev", here)
        _run("ip", "link", "set", here, "up")
        inside = ("ip", "netns", "exec", name)
        _run(*inside, "ip", "addr", "add", f"10.213.{number}.2/24", "dev", there)
        _run(*inside, "ip", "link", "set", there, "up")
        _run(*inside, "ip", "link", "set", "lo", "up")
        yield
    finally:
        _run("ip", "netns", "del", name)


def missing_for_networks() -> str | None:
    """Return why there can be no namespaces here, None if there can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "missing: root and iproute2, for network namespaces"
    try:
        with namespace(99):
            return None
    except subprocess.CalledProcessError as error:
        return f"missing: network namespaces ({error.stderr.decode().strip()})"


def skew_library(folder: Path) -> Path:
    """Compile what makes the clock of a process wrong by SKEW_S seconds."""
    library = folder / "skew.so"
    if not library.exists():
        source = folder / "skew.c"
        source.write_text(SKEW_SOURCE)
        _run("gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
    return library


def _gateway(number: int) -> str:
    return f"10.213.{number}.1"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
