"""``phonebench run --farm``: a run whose phones are on other hosts, killed and resumed, as a user sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.reader import list_runs, load_run
from tests.conftest import Called, call_phonebench
from tests.farm.lab import Agents, Lab, Process, running
from tests.farm.phones import ends

pytest.importorskip("distributed")

DIGITS = ("run", "digits", "-f", "onnx", "-v", "fp32,int8", "--launches", "6")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A scheduler and an agent with three phones whose launches take a while."""
    with running(Lab(tmp_path_factory.mktemp("lab"), Agents(count=1, phones=3, seconds=0.3))) as running_lab:
        yield running_lab


def farm(lab: Lab) -> list[str]:
    return ["--farm", lab.place.url, "--certs", str(lab.place.certs)]


def call(lab: Lab, cache: Path, folder: Path, *args: str) -> Called:
    return call_phonebench(*args, *farm(lab), "--cache-dir", str(cache), cwd=folder)


def test_a_run_that_was_killed_is_resumed_and_measures_nothing_again(
    lab: Lab, built_cache: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "harness", *DIGITS, "-d", "fake[ram>=4]:2", *farm(lab)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [*command, "--cache-dir", str(built_cache)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as owner:
        wait_for_launches(lab, 3)
        owner.kill()
    done = call(lab, built_cache, tmp_path, "run", "--resume", "--json")
    assert done.code == 0, done.err
    run = done.json()
    assert len(run["cells"]) == 4
    assert {cell["status"] for cell in run["cells"]} == {"ok"}
    assert set(ends(lab.log).values()) == {6}


def wait_for_launches(lab: Lab, count: int) -> None:
    ends_s = time.monotonic() + 120
    while sum(ends(lab.log).values()) < count:
        assert time.monotonic() < ends_s, lab.hosts[0].output
        time.sleep(0.05)


def test_a_device_that_the_farm_does_not_have_is_named(lab: Lab, built_cache: Path, tmp_path: Path) -> None:
    refused = call(lab, built_cache, tmp_path, *DIGITS, "-d", "fake:77")
    assert refused.code == 3
    assert "the farm has no device 'fake:77'; " in refused.err
    assert "one of fake:1, fake:2, fake:3" in refused.err


def test_two_files_are_compared_in_pairs_on_one_device_of_the_farm(lab: Lab, built_cache: Path, tmp_path: Path) -> None:
    sides = ("ab", "digits:fp32:onnx", "digits:int8:onnx", "--pairs", "8", "--most-pairs", "8", "--json")
    refused = call(lab, built_cache, tmp_path, *sides, "-d", "fake:all")
    assert (refused.code, "stands for 3 devices, and a session takes one" in refused.err) == (2, True)
    done = call(lab, built_cache, tmp_path, *sides, "-d", "fake[ram>=4]:any")
    assert done.code == 0, done.err
    session = done.json()["session"]
    # A scripted phone takes longer for a larger file.
    assert (session["verdict"], session["high"] < 0.9) == ("improved", True)
    made = {cell: count for cell, count in ends(lab.log).items() if "-side-" in cell}
    assert sorted(made.values()) == [8, 8]
    run = load_run(tmp_path / "results", list_runs(tmp_path / "results")[-1])
    assert {one.cell for one in run.measurements} == set(made)
    assert [info.key for info in run.head.devices] == [run.head.plan.cells[0].device]


def test_a_cell_that_was_refused_for_want_of_a_signature_runs_once_its_file_is_signed(
    lab: Lab, tmp_path: Path, digits_files: dict[tuple[str, str], Path]
) -> None:
    def user(*args: str) -> Called:
        return call_phonebench(*args, cwd=tmp_path)

    shutil.copyfile(digits_files["onnx", "fp32"], tmp_path / "net.onnx")
    assert user("keys", "my", "--days", "30").code == 0
    strict = [sys.executable, "-m", "harness", "farm", "agent", "--name", "strict", "--device", "fake:9"]
    strict += ["--scheduler", lab.place.url, "--certs", str(lab.folder / "certs" / "rack")]
    strict += ["--data", str(tmp_path / "strict"), "--require-signature", str(tmp_path / "my.pub")]
    agent = Process(strict, tmp_path / "strict.log")
    agent.start()
    try:
        lab.wait_for(lambda status: any(one.key == "fake:9" for one in status.devices))
        where = (*farm(lab), "--cache-dir", str(tmp_path / "cache"))
        refused = user("run", "net.onnx", "-d", "fake:9", "--launches", "1", *where)
        assert refused.code != 0
        assert "came without a signature: sign it (phonebench sign FILE --key KEY), or start a new run" in refused.err
        assert "once the reason is gone, to resume: phonebench run --resume=" in refused.err
        assert user("sign", "net.onnx", "--key", "my.key").code == 0
        done = user("run", "--resume", "--json", *where)
        assert (done.code, [cell["status"] for cell in done.json()["cells"]]) == (0, ["ok"]), done.err
    finally:
        agent.kill()
