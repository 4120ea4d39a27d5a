"""The runner's Java core runs a real model on the phone through real adb, and phones are not confused."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

from harness.wire import (
    ArtifactRef,
    CompanionRef,
    Delegate,
    DType,
    Format,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryMoment,
    MemoryPass,
    MemoryReading,
    OutputsPass,
    Passes,
    ReplyStatus,
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
    decode_reply,
    encode,
)
from tests.vphone.apkmaker import ACTIVITY, ApkPlan
from tests.vphone.desktop import SOURCES
from tests.vphone.ends import wait_for
from tests.vphone.fixtures import need_phone
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

APP = ApkPlan().package
STORE = "/data/local/tmp/phonebench"
# ``image @ weights`` with the weights in a file of their own.
MODEL = SOURCES / "onnxruntime" / "src" / "test" / "resources" / "apart.onnx"


def put(server: AdbServer, phone: VirtualPhone, file: Path) -> str:
    """Push a file under its digest."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert server.adb("-s", phone.address, "push", str(file), f"{STORE}/{sha256}").code == 0
    return sha256


def request(model: str, weights: str) -> RunRequest:
    """Ask for a few calls and the outputs."""
    companions = (CompanionRef(file="apart.onnx.data", sha256=weights),)
    tensors = (TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 4)),)
    few = MeasurePass(min_calls=20, min_ns=0, max_ns=10**10)
    return RunRequest(
        cell="product-fp32",
        launch=3,
        artifact=ArtifactRef(file="apart.onnx", sha256=model, format=Format.ONNX, companions=companions),
        runtime=RuntimeRequest(delegate=Delegate.CPU, threads=1),
        inputs=InputsRef(file="inputs.bin", count=1, tensors=tensors),
        passes=Passes(
            latency=LatencyPass(warmup=WarmupPass(min_calls=3, min_ns=0), measure=few),
            memory=MemoryPass(calls=3),
            outputs=OutputsPass(count=1),
        ),
    )


def test_a_real_model_runs_on_the_phone(adb_server: AdbServer, runner_phone: VirtualPhone, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.bin"
    inputs.write_bytes(struct.pack("<4f", 1, 2, 3, 4))
    model, weights, fed = (
        put(adb_server, runner_phone, f) for f in (MODEL, MODEL.with_name("apart.onnx.data"), inputs)
    )
    at, job = ("-s", runner_phone.address, "shell"), f"content://{APP}.jobs/first-job"
    adb_server.adb(*at, f"content write --uri {job}/request.json", stdin=encode(request(model, weights)))
    extras = f"--es job first-job --es store {STORE} --es inputs {fed}"
    adb_server.adb(*at, f"am start -S -W -n {APP}/{ACTIVITY} {extras}")
    wait_for(lambda: bool(runner_phone.apps.exits(APP)), timeout_s=60)
    reply = decode_reply(adb_server.adb(*at, f"content read --uri {job}/reply.json").out)
    assert (reply.status, reply.cell, reply.launch) == (ReplyStatus.OK, "product-fp32", 3)
    assert reply.runner.kind == "android-app"
    assert reply.runner.version == ApkPlan().version_name
    assert reply.runner.library_page_bytes == ApkPlan().page_bytes
    assert reply.latency is not None
    assert len(reply.latency.samples_ns) >= 20
    check_memory(reply.memory)
    outputs = adb_server.adb(*at, f"content read --uri {job}/outputs.bin").out
    assert struct.unpack("<3f", outputs) == (5, 6, 9)


def check_memory(memory: MemoryReading | None) -> None:
    """Every value is reported, and the sums are those of one process."""
    assert memory is not None
    assert [split.at for split in memory.split] == list(MemoryMoment)
    for split in memory.split:
        parts = (split.anonymous_bytes, split.file_bytes, split.shared_bytes)
        assert None not in (*parts, split.swap_bytes)
        if split.pss_bytes is not None:
            # The two files are read one after the other.
            assert split.pss_bytes <= 1.1 * sum(part or 0 for part in parts)


def test_a_launch_without_its_request_says_why_in_the_log(adb_server: AdbServer, runner_phone: VirtualPhone) -> None:
    adb_server.adb("-s", runner_phone.address, "shell", f"am start -S -W -n {APP}/{ACTIVITY} --es store {STORE}")
    wait_for(lambda: bool(runner_phone.apps.exits(APP)), timeout_s=60)
    assert "System.err: " in adb_server.adb("-s", runner_phone.address, "shell", "logcat -d").text


def test_three_phones_on_one_server_stay_apart(adb_server: AdbServer, tmp_path: Path) -> None:
    need_phone()
    with (
        VirtualPhone(tmp_path / "a", serial="one") as one,
        VirtualPhone(tmp_path / "b", serial="two", api=29, abi="arm64-v8a") as two,
        VirtualPhone(tmp_path / "c", serial="it's three") as three,
    ):
        for phone in (one, two, three):
            adb_server.connect(phone)
        one.faults.unplug()
        for phone in (two, three):
            said = adb_server.adb("-s", phone.address, "shell", "getprop ro.serialno; getprop ro.build.version.sdk")
            assert said.out.decode().splitlines() == [phone.state.serial, str(phone.state.api)]
        for phone in (one, two, three):
            adb_server.adb("disconnect", phone.address)


def test_everything_ends_with_the_phone(adb_server: AdbServer, tmp_path: Path) -> None:
    need_phone()
    with VirtualPhone(tmp_path / "phone") as phone:
        adb_server.connect(phone)
        adb_server.adb("-s", phone.address, "shell", "nohup setsid sleep 4242 >/dev/null 2>&1 &")
        wait_for(lambda: "sleep 4242" in phone.jail.run("ps -A -o ARGS"))
        started = [p for p in Path("/proc").glob("[0-9]*") if b"4242" in _command_of(p)]
    assert started
    wait_for(lambda: not any(b"sleep\x004242" in _command_of(p) for p in started))
    assert not (tmp_path / "phone" / "root").exists()
    adb_server.adb("disconnect", phone.address)


def test_a_phone_in_a_process_of_its_own(adb_server: AdbServer) -> None:
    need_phone()
    command = [sys.executable, "-m", "tests.vphone", "--serial", "apart"]
    root = SOURCES.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        adb_server.adb("connect", address)
        wait_for(lambda: adb_server.states().get(address) == "device")
        assert adb_server.adb("-s", address, "shell", "getprop ro.serialno").out == b"apart\n"
        process.communicate()
    adb_server.adb("disconnect", address)
    assert process.returncode == 0


def test_nothing_outlives_a_phone_whose_process_was_killed(tmp_path: Path) -> None:
    need_phone()
    command = [sys.executable, "-m", "tests.vphone"]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=SOURCES.parent, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mark = f"{tmp_path}/".encode()
        assert [p for p in Path("/proc").glob("[0-9]*") if mark in _command_of(p)]
        process.kill()
    wait_for(lambda: not [p for p in Path("/proc").glob("[0-9]*") if mark in _command_of(p)])


def _command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
