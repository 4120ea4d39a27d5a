"""Device ``host`` with small real programs as runners: well-behaved, crashing, hanging, or replying with rubbish."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.devices.device import Execution
from harness.devices.host.host import RUNNER, HostDevice
from harness.devices.registry import open_device
from harness.errors import DeviceError
from harness.system.child_process import child_environment
from harness.wire import FailureKind, OutputsPass, ReplyStatus, RunRequest

# The start of every small runner; `answer` writes a valid reply.
HEAD = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
job = Path(sys.argv[1])
request = json.loads((job / "request.json").read_bytes())
reply = {"schema": 1, "cell": request["cell"], "launch": request["launch"], "status": "ok",
         "runner": {"kind": "test", "version": "1"},
         "latency": {"first_ns": 3, "warmup_ns": [4, 4, 4], "samples_ns": [1, 2] * 30},
         "memory": {"definition": "d", "baseline_bytes": 1, "loaded_bytes": 2, "steady_bytes": 3, "peak_bytes": None,
                    "retained_bytes": None}}
def answer(**changes):
    (job / "reply.json").write_text(json.dumps(reply | changes))
outputs = {"file": "outputs.bin", "count": 2, "tensors": [{"name": "y", "dtype": "float32", "shape": [1, 3]}]}
print("a line of the log", flush=True)
"""


class Bench:
    """A host device with the given program as its runner; ``work`` holds its jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        self.work.mkdir()

    def device(self, program: str) -> HostDevice:
        script = self.folder / "runner.py"
        script.write_text(HEAD + textwrap.dedent(program))
        return HostDevice(command=(sys.executable, str(script)), folder=self.work)

    def run(self, program: str, parcel: Any, *, deadline_s: float = 30) -> Execution:
        device = self.device(program)
        device.push(parcel.path, parcel.sha256)
        return device.execute(parcel.request, parcel.inputs, deadline_s)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "bench"
    folder.mkdir()
    return Bench(folder)


def failure_of(execution: Execution) -> tuple[FailureKind, str, str]:
    failure = execution.reply.failure
    assert execution.reply.status is ReplyStatus.FAILED
    assert execution.reply.runner.kind == "host"
    assert failure is not None
    return failure.kind, failure.message, failure.detail


def with_outputs(request: RunRequest, count: int) -> RunRequest:
    return replace(request, passes=replace(request.passes, outputs=OutputsPass(count=count)))


def test_a_good_reply_comes_back_as_it_was_written(bench: Bench, parcel: Any) -> None:
    execution = bench.run("answer()", parcel)
    assert execution.reply.status is ReplyStatus.OK
    assert execution.reply.latency is not None
    assert execution.reply.latency.samples_ns == (1, 2) * 30
    assert b'"kind": "test"' in execution.reply_bytes
    assert execution.outputs is None


def test_outputs_are_handed_over_as_a_file(bench: Bench, parcel: Any) -> None:
    parcel = replace(parcel, request=with_outputs(parcel.request, 2))
    execution = bench.run("(job / 'outputs.bin').write_bytes(bytes(24)); answer(outputs=outputs)", parcel)
    assert execution.outputs is not None
    assert execution.outputs.read_bytes() == bytes(24)


def test_outputs_of_fewer_inputs_than_asked_for_are_refused(bench: Bench, parcel: Any) -> None:
    parcel = replace(parcel, request=with_outputs(parcel.request, 3))
    execution = bench.run("(job / 'outputs.bin').write_bytes(bytes(24)); answer(outputs=outputs)", parcel)
    assert execution.reply.failure is not None
    assert execution.reply.failure.kind is FailureKind.REPLY
    assert "outputs.count is 2, but 3 was requested" in execution.reply.failure.message


def test_a_folder_called_harness_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("raise SystemExit('the wrong harness')")
    done = subprocess.run(
        [*RUNNER, str(tmp_path / "no job")], cwd=tmp_path, env=child_environment(1), capture_output=True, text=True
    )
    assert "the wrong harness" not in done.stderr


def test_the_job_holds_the_artifact_and_the_inputs(bench: Bench, parcel: Any) -> None:
    program = """
        ok = (job / request["artifact"]["file"]).stat().st_size == 204800 and (job / "inputs.bin").stat().st_size == 16
        answer() if ok else sys.exit(9)
    """
    assert bench.run(program, parcel).reply.status is ReplyStatus.OK


def test_the_threads_asked_for_bind_the_maths_libraries(bench: Bench, parcel: Any) -> None:
    parcel = replace(parcel, request=replace(parcel.request, runtime=replace(parcel.request.runtime, threads=3)))
    program = """
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        answer() if {os.environ[name] for name in names} == {"3"} else sys.exit(9)
    """
    assert bench.run(program, parcel).reply.status is ReplyStatus.OK


@pytest.mark.parametrize(
    ("program", "kind", "said"),
    [
        ("sys.exit(3)", FailureKind.CRASH, "exit code 3"),
        ("raise ValueError('a bug')", FailureKind.CRASH, "exit code 1"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", FailureKind.CRASH, "SIGSEGV"),
        ("os.abort()", FailureKind.CRASH, "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", FailureKind.OOM, "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGTERM)", FailureKind.LOST, "ended from outside by SIGTERM"),
        ("pass", FailureKind.REPLY, "no reply"),
        ("(job / 'reply.json.tmp').write_text(json.dumps(reply))", FailureKind.REPLY, "no reply"),
        ("(job / 'reply.json').write_text(json.dumps(reply)[:50])", FailureKind.REPLY, "not JSON"),
        ("(job / 'reply.json').write_bytes(b'\\x00\\xff')", FailureKind.REPLY, "not JSON"),
        ("answer(schema=2)", FailureKind.REPLY, "schema 2"),
        ("answer(cell='another')", FailureKind.REPLY, "'another'"),
        ("answer(launch=7)", FailureKind.REPLY, "launch 7"),
        ("answer(latency=None)", FailureKind.REPLY, "latency pass"),
        ("answer(outputs=outputs)", FailureKind.REPLY, "0 bytes"),
        ("(job / 'outputs.bin').write_bytes(bytes(23)); answer(outputs=outputs)", FailureKind.REPLY, "23 bytes"),
    ],
)
def test_what_cannot_be_believed_is_a_failure(
    program: str, kind: FailureKind, said: str, bench: Bench, parcel: Any
) -> None:
    found, message, _ = failure_of(bench.run(program, parcel))
    assert found is kind
    assert said in message


def test_the_last_lines_of_the_log_are_the_evidence(bench: Bench, parcel: Any) -> None:
    detail = failure_of(bench.run("raise ValueError('a bug')", parcel))[2]
    assert "a line of the log" in detail
    assert detail.endswith("ValueError: a bug")


def test_a_crash_after_the_reply_does_not_cost_the_reply(bench: Bench, parcel: Any) -> None:
    assert bench.run("answer(); sys.stdout.flush(); os.abort()", parcel).reply.status is ReplyStatus.OK


def test_a_reply_of_the_launch_before_is_never_taken(bench: Bench, parcel: Any) -> None:
    device = bench.device("answer() if request['launch'] == 1 else None")
    device.push(parcel.path, parcel.sha256)
    assert device.execute(parcel.request, parcel.inputs, 30).reply.status is ReplyStatus.OK
    second = device.execute(replace(parcel.request, launch=2), parcel.inputs, 30)
    assert failure_of(second)[0] is FailureKind.REPLY


def has_ended(pid: int) -> bool:
    """Wait for a process that is not our child to end; return whether it did."""
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


SLEEPER = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
NOTE = "(job / '../../pids').write_text(f'{os.getpid()} {child.pid}'); "


def pids(bench: Bench) -> list[int]:
    return [int(pid) for pid in (bench.work / "pids").read_text().split()]


def test_a_runner_that_hangs_is_stopped_with_its_children(bench: Bench, parcel: Any) -> None:
    kind, message, detail = failure_of(bench.run(SLEEPER + NOTE + "time.sleep(600)", parcel, deadline_s=1.5))
    assert (kind, detail) == (FailureKind.TIMEOUT, "a line of the log")
    assert "1.5 s" in message
    assert all(has_ended(pid) for pid in pids(bench))


def test_a_runner_that_ends_leaves_no_children(bench: Bench, parcel: Any) -> None:
    assert bench.run(SLEEPER + NOTE + "answer()", parcel).reply.status is ReplyStatus.OK
    assert all(has_ended(pid) for pid in pids(bench))


def test_an_interrupt_stops_the_runner_and_goes_on(bench: Bench, parcel: Any) -> None:
    def interrupt_when_started() -> None:
        while not (bench.work / "pids").exists() or not (bench.work / "pids").read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_when_started)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        bench.run(SLEEPER + NOTE + "time.sleep(600)", parcel)
    thread.join()
    assert all(has_ended(pid) for pid in pids(bench))


def test_cleaning_leaves_nothing_behind(bench: Bench, parcel: Any) -> None:
    device = bench.device("answer()")
    device.push(parcel.path, parcel.sha256)
    device.execute(parcel.request, parcel.inputs, 30)
    assert list(bench.work.iterdir()) != []
    device.clean()
    assert list(bench.work.iterdir()) == []
    assert parcel.path.exists()


def test_a_file_is_sent_once(bench: Bench, parcel: Any) -> None:
    device = bench.device("answer()")
    assert [device.push(parcel.path, parcel.sha256) for _ in range(2)] == [True, False]


def test_an_artifact_that_was_not_pushed_cannot_run(bench: Bench, parcel: Any) -> None:
    with pytest.raises(DeviceError, match="push it"):
        bench.device("answer()").execute(parcel.request, parcel.inputs, 30)


def test_a_folder_that_cannot_be_written_is_named(parcel: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such place"):
        HostDevice(folder=tmp_path / "no such place").push(parcel.path, parcel.sha256)


def test_a_runner_that_cannot_be_started_is_named(parcel: Any, tmp_path: Path) -> None:
    device = HostDevice(command=("no-such-program",), folder=tmp_path)
    device.push(parcel.path, parcel.sha256)
    with pytest.raises(DeviceError, match="'no-such-program'"):
        device.execute(parcel.request, parcel.inputs, 30)


@pytest.mark.parametrize("name", ["../escape.tflite", "/etc/net.tflite", "a/b.tflite"])
def test_a_job_cannot_write_outside_its_folder(name: str, bench: Bench, parcel: Any) -> None:
    device = bench.device("answer()")
    device.push(parcel.path, parcel.sha256)
    request = replace(parcel.request, artifact=replace(parcel.request.artifact, file=name))
    with pytest.raises(DeviceError, match="plain name"):
        device.execute(request, parcel.inputs, 30)


def test_the_real_runner_refuses_bytes_that_are_no_model(parcel: Any) -> None:
    with open_device("host") as device:
        device.push(parcel.path, parcel.sha256)
        reply = device.execute(parcel.request, parcel.inputs, 60).reply
    assert reply.status is not ReplyStatus.OK
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.LOAD
