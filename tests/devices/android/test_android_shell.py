"""The shell runner on a phone: a program is pushed, runs without the cable, and is never taken for an app."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.android.phone_store import FOLDER
from harness.devices.android.shell.shelljob import JOBS
from harness.devices.device import Execution
from harness.errors import DeviceError, PhoneError
from harness.records.conditions import ConditionId
from harness.spec.phone_settings import PhoneRunner, PhoneSettings, read_binaries
from harness.wire import (
    Delegate,
    FailureKind,
    Format,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    Passes,
    ProfilePass,
    ReplyStatus,
    WarmupPass,
)
from tests.conftest import Called, call_phonebench
from tests.devices.android.conftest import BACK_S
from tests.devices.android.jobs import Work, make_work
from tests.devices.android.programs import BENCHMARK_MODEL, EXECUTOR_RUNNER, write_program
from tests.vphone.ends import wait_for
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer

DEADLINE_S = 60.0

Shell = Callable[..., AbstractContextManager[AndroidPhone]]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


@pytest.fixture
def shell(cable: Cable, tmp_path: Path) -> Shell:
    """Opens the phone with stand-ins for both programs, with the given variables set."""

    @contextmanager
    def opened(**variables: str) -> Generator[AndroidPhone]:
        litert = write_program(tmp_path / "android_aarch64_benchmark_model", BENCHMARK_MODEL, **variables)
        executorch = write_program(tmp_path / "executor_runner", EXECUTOR_RUNNER, **variables)
        settings = PhoneSettings(runner=PhoneRunner.SHELL, binaries=read_binaries((str(litert), f"pte={executorch}")))
        options = PhoneOptions(settings=settings, back_s=BACK_S, boot_s=BACK_S)
        with open_phone(cable, key=f"android:{cable.serial}", options=options) as phone:
            yield phone

    return opened


def run(phone: AndroidPhone, work: Work, format_: Format, delegate: Delegate = Delegate.XNNPACK) -> Execution:
    """Push the model as a file of ``format_``, whatever it contains, and launch it."""
    request = replace(
        work.request,
        artifact=replace(work.request.artifact, format=format_),
        runtime=replace(work.request.runtime, delegate=delegate),
    )
    phone.push(work.model, work.sha256)
    return phone.execute(request, work.inputs, DEADLINE_S)


def failure_of(execution: Execution) -> tuple[FailureKind, str]:
    assert execution.reply.failure is not None
    return execution.reply.failure.kind, execution.reply.failure.message


def test_benchmark_model_runs_on_the_phone_and_is_labelled(shell: Shell, phone: VirtualPhone, work: Work) -> None:
    with shell() as opened:
        execution = run(opened, work, Format.TFLITE)
        reply = execution.reply
        assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
        assert reply.runner.kind == "android-shell"
        assert reply.runtime is not None
        assert (reply.runtime.name, reply.runtime.version[:15]) == ("litert", "benchmark_model")
        assert (reply.runtime.nodes_delegated, reply.runtime.nodes_total, reply.runtime.partitions) == (7, 9, 2)
        assert reply.latency is not None
        assert reply.latency.told is not None
        assert (reply.latency.told.calls, reply.latency.told.median_ns) == (20, 300_000)
        assert reply.load is not None
        assert reply.load.first_ns == 4_200_000
        assert "Inference timings" in (reply.transcript or "")
        assert [condition.id for condition in execution.conditions] == [ConditionId.SHELL]
        assert list(phone.path(JOBS).iterdir()) == []


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ({"MEDIAN": "0"}, "the median of its 20 calls is 0 ns"),
        # A newer program that prints nanoseconds where it printed microseconds.
        ({"AVERAGE": "305e6"}, "its loads and calls take 6100"),
    ],
)
def test_figures_that_a_program_cannot_have_measured_are_refused(
    printed: dict[str, str], said: str, shell: Shell, work: Work
) -> None:
    with shell(**printed) as opened:
        kind, message = failure_of(run(opened, work, Format.TFLITE))
        assert kind is FailureKind.REPLY
        assert message.startswith("what the program printed cannot be used: ")
        assert said in message


def test_executor_runner_speaks_through_the_log_and_makes_enough_calls(
    shell: Shell, phone: VirtualPhone, work: Work
) -> None:
    phone.log.add("I", "ExecuTorch", "Iteration 7 of 9: 5.0 ms", pid=77)
    latency = LatencyPass(
        warmup=WarmupPass(min_calls=3, min_ns=0), measure=MeasurePass(min_calls=20, min_ns=10**8, max_ns=10**10)
    )
    work = replace(work, request=replace(work.request, passes=Passes(latency=latency, memory=MemoryPass(calls=1))))
    with shell() as opened:
        reply = run(opened, work, Format.PTE).reply
        assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
        assert reply.latency is not None
        assert reply.latency.first_ns == 9_000_000
        # Calls of 2 ms for 0.1 s, and three for the warm-up.
        assert len(reply.latency.warmup_ns + reply.latency.samples_ns) >= 50 + 3
        assert set(reply.latency.samples_ns) == {2_000_000}
        assert reply.memory is None
        assert reply.load is not None
        assert reply.load.first_ns == 1_250_000
        # The file decides what runs, not the request for XNNPACK: this one has no backends.
        assert reply.runtime is not None
        assert reply.runtime.delegate_used == "cpu"


def test_a_launch_of_the_profile_measures_nothing_and_says_so_where_a_program_has_none(
    shell: Shell, work: Work
) -> None:
    work = replace(work, request=replace(work.request, passes=Passes(profile=ProfilePass(calls=5))))
    with shell() as opened:
        reply = run(opened, work, Format.TFLITE).reply
        assert (reply.status, reply.latency) == (ReplyStatus.OK, None)
        assert [(o.kind, o.mean_ns, o.ran_on) for o in reply.profile] == [
            ("TfLiteXNNPackDelegate", 280_000, "xnnpack"),
            ("TOPK_V2", 20_000, "cpu"),
        ]
        other = run(opened, work, Format.PTE)
        assert failure_of(other) == (FailureKind.INPUT, "executor_runner reports no times of single operators")


def test_the_inputs_are_those_of_the_model_unless_the_file_stores_another_type(shell: Shell, work: Work) -> None:
    for wanted, conditions in (("8", [ConditionId.SHELL]), ("2", [ConditionId.SHELL, ConditionId.RANDOM_INPUTS])):
        with shell(WANTED=wanted) as opened:
            execution = run(opened, work, Format.TFLITE)
            assert execution.reply.status is ReplyStatus.OK
            assert [condition.id for condition in execution.conditions] == conditions


def test_a_delegate_that_does_not_run_is_a_hole(shell: Shell, work: Work) -> None:
    with shell(NO_GPU="1", ABSENT="VulkanBackend") as opened:
        gpu = run(opened, work, Format.TFLITE, Delegate.GPU)
        assert gpu.reply.status is ReplyStatus.UNSUPPORTED
        assert failure_of(gpu)[0] is FailureKind.DELEGATE
        nnapi = run(opened, work, Format.TFLITE, Delegate.NNAPI)
        assert failure_of(nnapi)[1].startswith("this benchmark_model has no nnapi delegate")
        vulkan = run(opened, work, Format.PTE, Delegate.GPU)
        assert failure_of(vulkan)[1] == (
            "this executor_runner was built without the backend VulkanBackend, which the file needs"
        )


def test_a_program_that_does_not_end_is_stopped_with_all_it_started(
    shell: Shell, phone: VirtualPhone, work: Work
) -> None:
    with shell(LASTING="61.25") as opened:
        opened.push(work.model, work.sha256)
        request = replace(work.request, artifact=replace(work.request.artifact, format=Format.TFLITE))
        kind, message = failure_of(opened.execute(request, work.inputs, 2.0))
        assert (kind, message) == (FailureKind.TIMEOUT, "benchmark_model did not finish within 2 s and was stopped")
        # The signal is sent; on a busy machine the kernel takes a moment to end them all.
        wait_for(lambda: "61.25" not in phone.jail.run("ps -A -o ARGS"))


def while_it_runs(phone: VirtualPhone, ail: Callable[[], object]) -> None:
    """Do ``ail`` while a program runs on the phone and the driver waits for it."""

    def wait() -> None:
        while "/code ] && [ -d /proc/" not in phone.jail.run("ps -A -o ARGS"):
            time.sleep(0.02)
        ail()

    threading.Thread(target=wait, daemon=True).start()


def test_a_cable_that_is_pulled_costs_nothing(
    shell: Shell, phone: VirtualPhone, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    with shell(LASTING="3") as opened:
        while_it_runs(phone, phone.faults.drop_now)
        reply = run(opened, work, Format.TFLITE).reply
        assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
    assert "went away during" in caplog.text


def test_a_phone_that_restarts_costs_the_launch_and_no_more(
    shell: Shell, phone: VirtualPhone, adb_server: AdbServer, work: Work
) -> None:
    phone.attach(lambda: adb_server.adb("connect", phone.address))
    with shell(LASTING="3") as opened:
        while_it_runs(phone, phone.faults.reboot)
        with pytest.raises(PhoneError, match="restarted during the launch"):
            run(opened, work, Format.TFLITE)
        assert run(opened, work, Format.TFLITE).reply.status is ReplyStatus.OK


def test_what_an_earlier_session_left_running_is_ended(shell: Shell, phone: VirtualPhone, cable: Cable) -> None:
    cable.check(
        f"mkdir -p {JOBS}/old && cd {JOBS}/old && echo 'echo $$ > pid; sleep 61.25; : {FOLDER}' > run.sh && "
        f"{{ setsid sh {JOBS}/old/run.sh > /dev/null 2>&1 < /dev/null & }}; sleep 0.5"
    )
    assert "61.25" in phone.jail.run("ps -A -o ARGS")
    with shell():
        wait_for(lambda: "61.25" not in phone.jail.run("ps -A -o ARGS"))
        assert not phone.path(f"{JOBS}/old").exists()


def test_a_program_for_another_processor_is_refused_before_anything_runs(cable: Cable, tmp_path: Path) -> None:
    program = tmp_path / "benchmark_model"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00")
    settings = PhoneSettings(runner=PhoneRunner.SHELL, binaries=read_binaries((str(program),)))
    with (
        pytest.raises(DeviceError, match=r"is for arm64-v8a, but phone '.*' runs x86_64 or x86: give a build for that"),
        open_phone(cable, key="android", options=PhoneOptions(settings=settings)),
    ):
        pass
    program.write_bytes(b"PK\x03\x04" + bytes(30))
    with (
        pytest.raises(DeviceError, match="give the executable for Android, not its APK"),
        open_phone(cable, key="android", options=PhoneOptions(settings=settings)),
    ):
        pass


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_a_run_through_the_shell_says_so_in_all_it_writes(
    phone: VirtualPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text("import torch\n\ndef build():\n    return torch.nn.Linear(2, 2)\n")
    program = write_program(tmp_path / "runs", EXECUTOR_RUNNER)

    def phonebench(*words: str) -> Called:
        places = {"PHONEBENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
        return call_phonebench(*words, cwd=tmp_path, env=adb_server.env | places)

    model = ("net:build", "--input", "x:float32:1x2", "--random-weights", "--format", "pte,onnx", "--variant", "fp32")
    asked = ("run", *model, "--device", f"android:{phone.address}", "--launches", "2")
    done = phonebench(*asked, "--runner", "shell", "--binary", f"pte={program}", "--json")
    assert done.code == 0, done.err
    ran, hole = done.json()["cells"]
    assert (ran["status"], ran["runner"]["kind"], ran["latency"]["launches"]) == ("ok", "android-shell", 2)
    assert (ran["latency"]["median_ns"], ran["accuracy"]) == (2_000_000, None)
    assert ran["runtime"]["delegate_used"] == "xnnpack"
    assert "SHELL" in [condition["id"] for condition in ran["conditions"]]
    assert (hole["status"], hole["format"]) == ("unsupported", "onnx")
    assert "android-shell" in next((tmp_path / "results").glob("*/table.csv")).read_text()
    missing = phonebench(*asked, "--runner", "shell", "--binary", "pte=gone")
    assert (missing.code, "there is no program 'gone' for pte" in missing.err) == (2, True)
    elsewhere = phonebench("run", "--device", "host", "--runner", "shell", "--binary", f"pte={program}")
    assert (elsewhere.code, "device 'host' has no setting runner, binary" in elsewhere.err) == (2, True)
