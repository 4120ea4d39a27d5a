"""Runs that are stopped: by Ctrl-C, by kill -9 at any instant, or beside another run on the same cache."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CommandLine, call_phonebench
from tests.e2e.soak import ROOT, kill_and_resume, start


def wait_for(path_pattern: str, folder: Path, lines: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a matching file has that many lines, or the process has ended."""
    for _ in range(2400):
        found = list(folder.glob(path_pattern))
        if process.poll() is not None or (found and len(found[0].read_bytes().splitlines()) >= lines):
            return
        time.sleep(0.05)


def test_kills_at_random_instants_lose_nothing(tmp_path: Path, working_cache: Path) -> None:
    struck = kill_and_resume(tmp_path, working_cache, kills=8, seed=20261123)
    assert len(struck.expected) == 8
    assert struck.faults == []


def shown(phonebench: CommandLine) -> list[dict[str, Any]]:
    """The cells of the newest run."""
    done = phonebench("show", "--json")
    assert done.code == 0, done.err
    cells: list[dict[str, Any]] = done.json()["cells"]
    return cells


def test_kills_while_artifacts_are_built_leave_a_sound_cache(tmp_path: Path) -> None:
    chance = random.Random(7)
    cache = tmp_path / "cache"
    for _ in range(3):
        process = start(tmp_path, "build", "digits", "--format", "onnx", cache=cache)
        try:
            process.wait(timeout=chance.uniform(1.0, 9.0))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    done = call_phonebench("build", "digits", "--format", "onnx", "--json", "--cache-dir", str(cache), cwd=tmp_path)
    assert done.code == 0, done.err
    assert [a["state"] for a in done.json()["artifacts"]] == ["ready"] * 4
    again = call_phonebench("build", "digits", "--format", "onnx", "--json", "--cache-dir", str(cache), cwd=tmp_path)
    assert again.json()["built"] == 0


def test_two_runs_at_once_share_one_cold_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    args = ("run", "--device", "fake", "--format", "onnx,ptl", "--variant", "fp32,int8")
    sides = [start(tmp_path, *args, cache=cache) for _ in range(2)]
    outcomes = [process.communicate()[1].decode() for process in sides]
    assert [process.returncode for process in sides] == [0, 0], outcomes
    assert len(list((cache / "artifacts").glob("*/*"))) == 4
    assert len(list((tmp_path / "results").glob("*/report.html"))) == 2


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_a_stopped_run_keeps_what_is_done_and_says_how_to_resume(
    phonebench: CommandLine, tmp_path: Path, working_cache: Path, signal_: signal.Signals
) -> None:
    process = start(tmp_path, "run", "--format", "onnx", "--variant", "fp32,fp16", cache=working_cache)
    wait_for("results/*/measurements.jsonl", tmp_path, 1, process)
    process.send_signal(signal_)
    message = process.communicate()[1].decode()
    assert process.returncode == 130, message
    assert "1 of 2 cells done" in message
    assert "--resume=" in message
    assert "Traceback" not in message
    assert [c["status"] for c in shown(phonebench)] == ["ok", "pending"]
    assert phonebench("run", "--resume").code == 0
    assert [c["status"] for c in shown(phonebench)] == ["ok", "ok"]


def resumed(message: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Paste the command at the end of ``message`` into a shell that knows ``phonebench``."""
    command = message.rpartition("to resume: ")[2].strip()
    assert command.startswith("phonebench run --resume="), message
    script = f'phonebench() {{ "{sys.executable}" -m harness "$@"; }}; {command}'
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_hint_to_resume_works_when_it_is_pasted(tmp_path: Path, built_cache: Path) -> None:
    cache = Path(shutil.copytree(built_cache, tmp_path / "the cache"))
    places = ("--results", "my 'results'", "--cache-dir", str(cache))
    process = start(tmp_path, "run", "--format", "onnx", "--variant", "fp32,fp16", *places, cache=tmp_path / "other")
    wait_for("my 'results'/*/measurements.jsonl", tmp_path, 1, process)
    process.send_signal(signal.SIGINT)
    message = process.communicate()[1].decode()
    assert process.returncode == 130, message
    done = resumed(message, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "build: " not in done.stderr
    (measurements,) = tmp_path.glob("my 'results'/*/measurements.jsonl")
    assert len(measurements.read_bytes().splitlines()) == 2


def test_the_hint_names_no_default(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench("run", "--device", "fake:lost", "--format", "onnx", "--results", "results")
    assert done.code == 20
    name = next((tmp_path / "results").glob("*/run.json")).parent.name
    assert f"to resume: phonebench run --resume={name} --cache-dir " in done.err
    assert "--results" not in done.err


def test_ctrl_c_while_artifacts_are_built_ends_at_once_and_cleans_up(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = start(tmp_path, "run", "--format", "onnx,ptl", cache=cache)
    wait_for("results/*/run.json", tmp_path, 1, process)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, message
    assert "0 of 8 cells done" in message
    assert list((cache / "staging").iterdir()) == []


def test_two_processes_cannot_write_one_run(phonebench: CommandLine, tmp_path: Path, working_cache: Path) -> None:
    process = start(tmp_path, "run", "--format", "onnx", "--variant", "fp32,fp16", cache=working_cache)
    wait_for("results/*/measurements.jsonl", tmp_path, 1, process)
    second = phonebench("run", "--resume")
    process.kill()
    process.communicate()
    assert second.code == 6
    assert "another process" in second.err


@pytest.mark.parametrize(
    ("kind", "again"), [("oom", True), ("lost", True), ("storage", True), ("crash", False), ("run", False)]
)
def test_what_a_signal_or_the_environment_ended_is_tried_again_and_a_fault_of_the_file_is_not(
    phonebench: CommandLine, tmp_path: Path, kind: str, again: bool
) -> None:
    assert phonebench("run", "--device", "fake", "--format", "onnx", "--variant", "fp32,int8").code == 0
    stored = next((tmp_path / "results").glob("*/measurements.jsonl"))
    lines = [json.loads(line) for line in stored.read_text().splitlines()]
    failure = {"kind": kind, "message": "the runner was killed (SIGKILL)", "detail": ""}
    lines[0] |= {"status": "failed", "failure": failure, "latency": None, "launches": []}
    stored.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = phonebench("run", "--resume")
    assert done.code == (0 if again else 5), done.err
    assert [cell["status"] for cell in shown(phonebench)] == ["ok" if again else "failed", "ok"]
    assert len(stored.read_text().splitlines()) == 2 + again
