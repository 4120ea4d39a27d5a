"""Builds on a farm of real processes: ahead of the devices, once each, and whatever becomes of the build hosts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.build import BuildOrder, BuildOutcome
from harness.artifacts.cache import Cache
from harness.errors import UsageError
from harness.farm.builds.ahead import BuildsAhead, Orderer, usable_hosts
from harness.farm.builds.calls import BuildStage, TakeBuilds
from harness.farm.builds.versions import host_versions
from harness.farm.host_agent import AgentOptions, read_status, serve_agent
from harness.farm.link import Link
from harness.farm.places import Role
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build
from harness.wire import Format
from tests.artifacts.builders import onnx_file
from tests.farm.lab import ROOT, Agents, Lab, Process, running

pytest.importorskip("distributed")

CARD = """
[model]
name = "{name}"
source = "add.onnx"
[data]
source = "data:load"
"""
# Notes that the model is being prepared, and waits for the file `go` if there is a file `hold`.
DATA = """
import os, time
from pathlib import Path
import numpy as np

HOME = Path({home!r})

def load(split):
    if split == "test":
        with (HOME / "log").open("a") as log:
            log.write("{name} %d\\n" % os.getppid())
        ends = time.monotonic() + 100
        while (HOME / "hold").exists() and time.monotonic() < ends:
            time.sleep(0.05)
    first = {{"train": 0, "calibration": 100, "test": 200}}[split]
    return np.arange(first, first + 8, dtype=np.float32).reshape(4, 1, 2), None
"""


def model(home: Path, name: str) -> Path:
    """A model folder around a ready-made file, which takes no converter to build."""
    folder = home / name
    folder.mkdir()
    onnx_file(folder / "add.onnx", "Add", np.ones(2, np.float32))
    (folder / "model.toml").write_text(CARD.format(name=name))
    (folder / "data.py").write_text(DATA.format(name=name, home=str(home)))
    return folder


def loads(home: Path) -> list[str]:
    """Return the models that were prepared, once per time."""
    log = home / "log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def until(ready: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A scheduler, an agent with two phones, and two hosts that build."""
    lab = Lab(tmp_path_factory.mktemp("lab"), Agents(count=1, phones=2, seconds=0.0))
    builders = [builder(lab, f"build{number}") for number in range(2)]
    lab.hosts += builders
    with running(lab):
        lab.wait_for(lambda status: sum(Role.BUILD in host.roles for host in status.hosts) == len(builders))
        yield lab


def builder(lab: Lab, name: str) -> Process:
    command = [sys.executable, "-m", "harness", "farm", "agent", "--role", "build", "--name", name]
    command += ["--scheduler", lab.place.url, "--certs", str(lab.folder / "certs" / "rack")]
    return Process([*command, "--data", str(lab.folder / name)], lab.folder / f"{name}.log")


@contextmanager
def old_host(lab: Lab) -> Iterator[None]:
    """A build host whose packages are older, and which would take everything."""
    link, stop = Link(lab.place), threading.Event()
    versions = host_versions() | {"onnxruntime": "1.0.0"}

    def serve() -> None:
        while not stop.is_set():
            assert link.take_builds(TakeBuilds(agent="old", versions=versions, free=9)).groups == ()
            stop.wait(0.1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        link.take_builds(TakeBuilds(agent="old", versions=versions, free=0, leaving=True))
        link.close()


def test_a_run_is_built_elsewhere_although_the_build_host_is_killed_in_the_middle(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    folders = [model(tmp_path, name) for name in ("slow", "quick")]
    command = [sys.executable, "-m", "harness", "run", *map(str, folders), "-f", "onnx", "-d", "fake:1,fake:2"]
    command += ["--launches", "1", "--farm", lab.place.url, "--certs", str(lab.place.certs), "--json"]
    with old_host(lab), (tmp_path / "said").open("wb") as said:
        owner = subprocess.Popen(
            [*command, "--cache-dir", str(tmp_path / "cache")],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        with owner:
            until(lambda: len(loads(tmp_path)) >= 2)
            shown = {build.name: build for build in read_status(lab.place).builds}
            slow = shown["slow (model and data)"]
            assert slow.stage is BuildStage.BUILDING
            victim = next(host for host in lab.hosts if f"{slow.host}.log" == host.log.name)
            victim.kill()
            victim.start()
            until(lambda: loads(tmp_path).count("slow") >= 2)
            (tmp_path / "hold").unlink()
            assert owner.wait(120) == 0, (tmp_path / "said").read_text()
    text = (tmp_path / "said").read_text()
    assert "build host 'old' is not used: onnxruntime 1.0.0 there and" in text
    assert "built here" not in text
    cache = Cache(tmp_path / "cache")
    assert list(cache.logs.iterdir()) == []


def ahead(lab: Lab, folder: Path, cache: Path, *, alone_s: float = 60.0) -> BuildOutcome:
    """Build the model in ``folder`` into ``cache``, as a run does."""
    card = resolve(str(folder), ModelOptions())
    build = Build(model=card.name, variant="as-is", format=Format.ONNX, backend=None)
    order = BuildOrder(cards=[card], builds=[build], recipes={})
    link = Link(lab.place)
    orderer = Orderer(run=cache.name, user="ada", priority=0, folder=cache / "way", alone_s=alone_s)
    builds = BuildsAhead(order, Cache(cache), link, orderer)
    builds.start()
    try:
        outcomes: list[BuildOutcome] = []

        def ended() -> bool:
            outcomes.extend(builds.take())
            return not builds.open

        until(ended)
        (outcome,) = [one for one in outcomes if one.artifacts]
    finally:
        builds.close()
        link.close()
    return outcome


def test_a_build_is_made_once_in_the_farm_and_here_if_no_host_is_left(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    folder = model(tmp_path, "once")
    first, second = (ahead(lab, folder, tmp_path / name) for name in ("first", "second"))
    assert loads(tmp_path) == ["once"]
    (one,), (two,) = first.artifacts.values(), second.artifacts.values()
    assert one.path is not None
    assert two.path is not None
    assert one.manifest == two.manifest
    assert one.path.read_bytes() == two.path.read_bytes() == (folder / "add.onnx").read_bytes()
    assert first.models["once"].test_inputs()[0].tolist() == second.models["once"].test_inputs()[0].tolist()
    for host in lab.hosts[1:]:
        assert host.stop() == 0
    link = Link(lab.place)
    assert usable_hosts(BuildOrder(cards=[], builds=[], recipes={}), link) == ()
    link.close()
    other = ahead(lab, model(tmp_path, "alone"), tmp_path / "third", alone_s=0.0)
    assert next(iter(other.artifacts.values())).path is not None
    assert "no build host is left on the farm" in caplog.text


def test_a_host_that_only_builds_offers_no_devices_and_does_not_disturb_itself(lab: Lab) -> None:
    def refused(*devices: str, roles: tuple[Role, ...]) -> str:
        options = AgentOptions(place=lab.place, data=lab.folder / "no", devices=devices, roles=roles)
        with pytest.raises(UsageError) as caught:
            serve_agent(options, print)
        return str(caught.value)

    assert "is for a host that measures" in refused("android", roles=(Role.BUILD,))
    assert "would disturb its figures" in refused("host", roles=(Role.MEASURE, Role.BUILD))
