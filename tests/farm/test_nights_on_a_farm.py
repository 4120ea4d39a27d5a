"""Nights whose phones are on other hosts: one is missing, a file gets slower, and the program and the database die."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.history.database import open_history
from harness.history.queries import nights_of
from harness.progress import Silent
from harness.spec.read import make_spec
from harness.store.reader import load_run
from harness.workflows.bench import FarmChoice, Places
from harness.workflows.nightly.device_words import device_lines
from harness.workflows.nightly.night import NightTools, nightly, resume_night
from harness.workflows.nightly.record import NightRecord, State
from tests.conftest import Called, call_phonebench
from tests.farm.lab import PATIENCE_S, Agents, Lab, running
from tests.farm.phones import ends, overlaps
from tests.history.conftest import Cluster
from tests.history.conftest import running as server

pytest.importorskip("distributed")

PHONES = ("fake:1", "fake:2", "fake:3", "fake:4")
HOUR_S = 3600


@pytest.fixture(scope="module")
def database() -> Iterator[Cluster]:
    """A server for the history, which may be stopped."""
    with server() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Four phones on two hosts; the clock of the second is an hour late."""
    agents = Agents(count=2, phones=2, seconds=0.05)
    with running(Lab(tmp_path_factory.mktemp("nights"), agents, skew_s=(0, -HOUR_S))) as running_lab:
        yield running_lab


def test_nights_of_a_farm(
    lab: Lab, database: Cluster, working_cache: Path, digits_files: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    shutil.copy(digits_files["onnx", "int8"], model)
    history = database.new_database()
    tools = NightTools(
        places=Places(results=tmp_path / "results", cache=working_cache, farm=FarmChoice(place=lab.place)),
        history=history,
        progress=Silent(),
    )
    spec = make_spec({"model": str(model), "device": [*PHONES, "fake:99"], "profile": "standard"}, where="here")

    first = nightly(spec, tools)
    assert [absent.device for absent in first.absent] == ["fake:99"]
    assert states(first, "fake:99") == {State.INCOMPLETE}
    assert all(states(first, phone) == {State.INSUFFICIENT, State.NONE} for phone in PHONES)
    # Without the clocks set right, the second phone would have waited an hour, and the night lasted one.
    assert all(one.queued_s < HOUR_S / 4 and one.active_s < HOUR_S / 4 for one in first.usage)

    # A host goes away once the devices of the night have been looked for, and is waited for in vain.
    impatient = replace(tools.places, farm=replace(tools.places.farm, patience_s=1.0))
    cut = nightly(spec, replace(tools, places=impatient, progress=Leaving(lab)))
    assert states(cut, "fake:3") == states(cut, "fake:4") == {State.INCOMPLETE}
    assert states(cut, "fake:1") == {State.INSUFFICIENT, State.NONE}
    told = "2 devices were lost during the run for the same reason (fake:3, fake:4): no agent of the farm has it."
    assert told in device_lines(cut)
    with pytest.raises(StoreError, match=r"history.*to resume: phonebench nightly --resume="):
        nightly(spec, replace(tools, progress=Stopping(database)))
    before = ends(lab.log)
    database.start()
    second = resume_night("latest", tools)
    assert ends(lab.log) == before
    assert states(second, "fake:3") == states(second, "fake:4") == {State.INCOMPLETE}
    told = "3 devices were absent for the same reason (fake:3, fake:4, fake:99): no agent of the farm has it."
    assert told in device_lines(second)
    # Most devices fail for one reason, so none of them is to blame.
    assert second.handed_on is not None
    assert {health.device: health.failed for health in second.handed_on.devices} == {"fake:99": 1}
    lab.hosts[1].start()
    lab.wait_until_there()

    shutil.copy(digits_files["onnx", "fp32"], model)
    (tmp_path / "night.toml").write_text(f'model = "model.onnx"\ndevice = {list(PHONES)}\n'.replace("'", '"'))
    before = ends(lab.log)
    third = Night(lab, working_cache, tmp_path, history)
    third.start_and_kill_in_a_comparison()
    database.control("stop", "--mode", "immediate")
    broken = third.resume()
    assert broken.code == 6, broken.err
    assert "the server of the history" in broken.err
    database.start()
    done = third.resume()
    assert done.code == 10, done.err
    record = done.json()
    worse = {s["cell"] for s in record["series"] if (s["state"], s["metric"]) == ("regression", "latency")}
    assert [sum(slug(phone) in cell for cell in worse) for phone in PHONES] == [1] * len(PHONES)
    for said in record["confirmations"]:
        assert said["decision"] == "confirmed", said
    # Whatever had ended before the kill was not done again: every launch is that of a cell or of one side of a session.
    made = ends(lab.log)
    pairs = {s["cell"]: s["confirmation"]["pairs"] for s in record["series"] if s["metric"] == "latency"}
    assert {f"{cell}-good": count for cell, count in pairs.items()}.items() <= made.items()
    for measurement in load_run(tmp_path / "results", record["run"]).measurements:
        cell = measurement.cell
        assert made[cell] == before[cell] + len(measurement.launches) + pairs[cell]
    assert overlaps(lab.log) == []
    assert len(record["compared"]) == len(PHONES)
    with open_history(history) as opened:
        series = next(s["series"] for s in record["series"] if s["metric"] == "latency")
        assert [night.run for night in nights_of(opened, series)][-1] == record["id"]


class Leaving(Silent):
    """Stops the second host as measuring begins."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def start(self, stage: str, total: int) -> None:
        del total
        if stage == "measure":
            self._lab.hosts[1].stop()


class Stopping(Silent):
    """Stops the server of the history once measuring has begun."""

    def __init__(self, database: Cluster) -> None:
        self._database = database

    def start(self, stage: str, total: int) -> None:
        del total
        if stage == "measure":
            self._database.control("stop", "--mode", "immediate")


class Night:
    """A night that is started from a shell."""

    def __init__(self, lab: Lab, cache: Path, folder: Path, history: str) -> None:
        self.lab, self._cache, self._folder, self._history = lab, cache, folder, history

    @property
    def _options(self) -> list[str]:
        farm = ["--farm", self.lab.place.url, "--certs", str(self.lab.place.certs)]
        return [*farm, "--cache-dir", str(self._cache), "--history", self._history, "--json"]

    def start_and_kill_in_a_comparison(self) -> None:
        """Start the night, and kill its program once every phone is at its comparison."""
        command = [sys.executable, "-m", "harness", "nightly", "night.toml", *self._options]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        log = self._folder / "night.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(command, cwd=self._folder, env=environment, stdout=output, stderr=output) as owner,
        ):
            ends_s = time.monotonic() + PATIENCE_S
            while sum(cell.endswith("-good") for cell in ends(self.lab.log)) < len(PHONES):
                assert time.monotonic() < ends_s, log.read_text()
                assert owner.poll() is None, log.read_text()
                time.sleep(0.02)
            owner.kill()

    def resume(self) -> Called:
        return call_phonebench("nightly", "--resume", *self._options, cwd=self._folder)


def states(record: NightRecord, device: str) -> set[State]:
    return {night.state for night in record.series or () if slug(device) in night.cell}


def slug(device: str) -> str:
    """A device in the key of a cell."""
    return f"-{device.replace(':', '-')}-"
