"""The arguments of the runtimes' benchmark programs, and what is read from their output."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.devices.android.shell.shelljob import ToolOutput
from harness.devices.android.shell.shellreply import read_output
from harness.devices.android.shell.tools.executor_runner import FIRST_CALLS, MOST_CALLS, split_calls
from harness.devices.android.shell.tools.registry import TOOLS
from harness.devices.android.shell.tools.tool import ToolJob
from harness.spec.phone_settings import read_binaries
from harness.wire import Delegate, FailureKind, Format, LatencyPass, MeasurePass, ReplyStatus, WarmupPass

LATENCY = LatencyPass(
    warmup=WarmupPass(min_calls=3, min_ns=500_000_000),
    measure=MeasurePass(min_calls=50, min_ns=3_000_000_000, max_ns=30_000_000_000),
)
JOB = ToolJob(
    program="/p",
    model="/m",
    inputs=("/a", "/b"),
    shapes=((1, 3, 8, 8), (1, 20)),
    delegate=Delegate.XNNPACK,
    threads=4,
    latency=LATENCY,
    calls=5,
)
LITERT, EXECUTORCH = TOOLS[Format.TFLITE], TOOLS[Format.PTE]

WHOLE = """INFO: Loaded model /m
INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate.
INFO: Initialized session in 17.187ms.
count=1 curr=3512391

count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95e+06 std=109 p5=2730000 median=2950000 p95=3100000

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
"""

REAL_RUN = """I 00:00:00.000797 executorch:runner.cpp:476] Model file /m is loaded.
I 00:00:00.001728 executorch:runner.cpp:624] Model loaded in 0.946826 ms.
I 00:00:00.001860 executorch:runner.cpp:779] Iteration 1 of 5: 0.100149 ms
I 00:00:00.002028 executorch:runner.cpp:779] Iteration 2 of 5: 0.100029 ms
I 00:00:00.002062 executorch:runner.cpp:779] Iteration 3 of 5: 0.027791 ms
I 00:00:00.002221 executorch:runner.cpp:779] Iteration 4 of 5: 0.095893 ms
I 00:00:00.002253 executorch:runner.cpp:779] Iteration 5 of 5: 0.026490 ms
I 00:00:00.002256 executorch:runner.cpp:789] Model executed successfully 5 time(s) in 0.350352 ms.
"""


def test_benchmark_model_is_asked_for_the_profile_the_delegate_and_the_inputs() -> None:
    assert LITERT.arguments(JOB) == (
        "--graph=/m",
        "--num_threads=4",
        "--warmup_runs=3",
        "--warmup_min_secs=0.5",
        "--num_runs=50",
        "--min_secs=3",
        "--max_secs=30",
        "--use_xnnpack=true",
        "--input_layer=input0,input1",
        "--input_layer_shape=1,3,8,8:1,20",
        "--input_layer_value_files=input0:/a,input1:/b",
    )


@pytest.mark.parametrize(
    ("delegate", "flags"),
    [
        (Delegate.CPU, {"--use_xnnpack=false"}),
        (Delegate.GPU, {"--use_gpu=true", "--use_xnnpack=false"}),
        (Delegate.NNAPI, {"--use_nnapi=true", "--use_xnnpack=false"}),
    ],
)
def test_what_a_delegate_leaves_runs_on_the_plain_kernels_as_in_the_app(delegate: Delegate, flags: set[str]) -> None:
    asked = LITERT.arguments(replace(JOB, delegate=delegate, inputs=()))
    assert {word for word in asked if "use_" in word} == flags


def test_benchmark_model_reports_a_summary() -> None:
    report = read_output(LITERT, ToolOutput(exit_code=0, text=WHOLE), JOB)
    assert report.latency is not None
    assert report.latency.told is not None
    assert report.latency.first_ns == 3_512_391_000
    assert (report.latency.told.calls, report.latency.told.median_ns) == (50, 2_950_000_000)
    assert (report.latency.told.p5_ns, report.latency.told.mean_ns) == (2_730_000_000, 2_950_000_000)
    assert report.load_ns == 17_187_000
    assert report.memory is not None
    assert report.memory.peak_bytes == round(46.0859 * 2**20)
    assert (report.delegate_used, report.partitions, report.nodes_total) == ("xnnpack", 1, None)


@pytest.mark.parametrize("percentiles", ["", " p5=20 median=20 p95=20"])
def test_one_time_stands_for_calls_that_all_took_equally_long(percentiles: str) -> None:
    text = WHOLE.replace("count=50 first=2990275", f"count=50 (all same) curr=20{percentiles}\nfirst=2990275")
    report = read_output(LITERT, ToolOutput(exit_code=0, text=text), JOB)
    assert report.latency is not None
    assert report.latency.told is not None
    times = report.latency.told
    assert (times.calls, times.median_ns, times.p95_ns) == (50, 20_000, 20_000)
    assert (times.min_ns, times.mean_ns) == (20_000, 20_000)


def test_a_program_is_known_for_its_format_by_the_name_that_it_has() -> None:
    assert {read_binaries((tool.name,))[0].format: tool for tool in TOOLS.values()} == TOOLS


def test_a_program_too_old_for_a_median_says_so() -> None:
    report = read_output(
        LITERT, ToolOutput(exit_code=0, text=WHOLE.replace(" p5=2730000 median=2950000 p95=3100000", "")), JOB
    )
    assert report.status is ReplyStatus.UNSUPPORTED
    assert report.failure is not None
    assert report.failure.message == "this benchmark_model prints a mean but no median: use a newer one"


@pytest.mark.parametrize(
    ("line", "used", "partitions"),
    [
        ("Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 3 "
         "delegate kernels.", "gpu", 3),
        ("Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.", "cpu",
         None),
    ],
)  # fmt: skip
def test_what_ran_is_what_the_program_says(line: str, used: str, partitions: int | None) -> None:
    text = WHOLE.replace(WHOLE.splitlines()[1], line)
    report = read_output(LITERT, ToolOutput(exit_code=0, text=text), replace(JOB, delegate=Delegate.GPU))
    assert (report.delegate_used, report.partitions) == (used, partitions)


def test_a_delegate_that_is_not_in_the_program_is_a_hole_and_not_the_cpu() -> None:
    text = WHOLE.replace(WHOLE.splitlines()[1], "Unconsumed cmdline flags: --use_nnapi=true")
    report = read_output(LITERT, ToolOutput(exit_code=0, text=text), replace(JOB, delegate=Delegate.NNAPI))
    assert report.status is ReplyStatus.UNSUPPORTED
    assert report.failure is not None
    assert report.failure.kind is FailureKind.DELEGATE
    assert "has no nnapi delegate" in report.failure.message
    assert report.latency is None


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("ERROR: op\nFailed to apply GPU delegate.", FailureKind.DELEGATE, ReplyStatus.UNSUPPORTED),
        ("Failed to load model /m", FailureKind.LOAD, ReplyStatus.FAILED),
        ("The size of /a is 256 bytes. It should be 64 bytes.", FailureKind.INPUT, ReplyStatus.FAILED),
        ("no known words", FailureKind.RUN, ReplyStatus.FAILED),
    ],
)
def test_a_program_that_failed_is_explained_by_its_words(text: str, kind: FailureKind, status: ReplyStatus) -> None:
    report = read_output(LITERT, ToolOutput(exit_code=1, text=text), JOB)
    assert report.failure is not None
    assert (report.status, report.failure.kind) == (status, kind)
    assert report.failure.detail == text


@pytest.mark.parametrize(
    ("code", "kind"), [(137, FailureKind.OOM), (139, FailureKind.CRASH), (None, FailureKind.CRASH)]
)
def test_a_signal_is_a_crash_and_a_kill_is_want_of_memory(code: int | None, kind: FailureKind) -> None:
    report = read_output(EXECUTORCH, ToolOutput(exit_code=code, text=""), JOB)
    assert report.failure is not None
    assert report.failure.kind is kind


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (
            134,
            'CANNOT LINK EXECUTABLE "/data/local/tmp/phonebench/ab": library "libOpenCL.so" not found: needed by main',
            'cannot start on this phone: library "libOpenCL.so" not found',
        ),
        (1, 'CANNOT LINK EXECUTABLE ./ab: cannot locate symbol "_ZN4absl" referenced by "ab"...', 'symbol "_ZN4absl'),
        (
            127,
            "ab: error while loading shared libraries: libm.so.6: cannot open shared object",
            "libm.so.6: cannot open",
        ),
        (127, "/data/run.sh[3]: /data/local/tmp/phonebench/ab: inaccessible or not found", "give a build for Android"),
        (126, "run.sh[3]: /data/ab: No such file or directory", "the loader that it needs, is not on this phone"),
        (126, "run.sh[3]: /data/ab: can't execute: Permission denied", "cannot execute the program: can't execute"),
        (1, "taskset: failed to set pid 20164's affinity: Invalid argument", "not started on the chosen cores"),
    ],
)
def test_a_program_that_could_not_start_says_why_in_its_message(code: int, text: str, said: str) -> None:
    failure = read_output(LITERT, ToolOutput(exit_code=code, text=text), JOB).failure
    assert failure is not None
    assert failure.kind is FailureKind.LOAD
    assert said in failure.message


@pytest.mark.parametrize("code", [255, 200])
def test_an_exit_code_beyond_the_signals_is_the_programs_own(code: int) -> None:
    failure = read_output(LITERT, ToolOutput(exit_code=code, text=""), JOB).failure
    assert failure is not None
    assert (failure.kind, failure.message) == (FailureKind.RUN, f"benchmark_model ended with exit code {code}")


def test_executor_runner_tells_every_call() -> None:
    asked = replace(JOB, latency=replace(LATENCY, warmup=WarmupPass(min_calls=1, min_ns=0)))
    report = read_output(EXECUTORCH, ToolOutput(exit_code=0, text=REAL_RUN), asked)
    assert report.latency is not None
    assert report.latency.first_ns == 100_149
    assert report.latency.warmup_ns == (100_029,)
    assert report.latency.samples_ns == (27_791, 95_893, 26_490)
    assert report.load_ns == 946_826


def test_lines_that_the_log_lost_are_no_calls_that_were_not_made() -> None:
    report = read_output(EXECUTORCH, ToolOutput(exit_code=0, text=REAL_RUN.replace("Iteration 3", "")), JOB)
    assert report.failure is not None
    assert report.failure.message == "the phone's log has the times of 4 out of 5 calls: 1 lines were lost"


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("Model executed successfully 5 time(s) in 1 ms.", ReplyStatus.UNSUPPORTED, "from ExecuTorch 1.3 or later"),
        ("", ReplyStatus.FAILED, "EXECUTORCH_ENABLE_LOGGING=ON"),
    ],
)
def test_a_program_without_times_says_which_to_build(text: str, status: ReplyStatus, words: str) -> None:
    report = read_output(EXECUTORCH, ToolOutput(exit_code=0, text=text), JOB)
    assert report.status is status
    assert report.failure is not None
    assert words in report.failure.message


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("ERROR: unknown command line flag 'cpu_threads'", FailureKind.INPUT, ReplyStatus.FAILED),
        ("E 00:00:00.1 executorch:method.cpp:75] Backend VulkanBackend is not registered.", FailureKind.DELEGATE,
         ReplyStatus.UNSUPPORTED),
        ("assert failed (res.ok()): Could not prepare inputs: 0x12", FailureKind.INPUT, ReplyStatus.FAILED),
        ("executorch:runner.cpp:473] Failed to parse model file /m", FailureKind.LOAD, ReplyStatus.FAILED),
    ],
)  # fmt: skip
def test_executor_runner_is_explained_before_its_signal_is(text: str, kind: FailureKind, status: ReplyStatus) -> None:
    report = read_output(EXECUTORCH, ToolOutput(exit_code=134, text=text), JOB)
    assert report.failure is not None
    assert (report.status, report.failure.kind) == (status, kind)


@pytest.mark.parametrize(
    ("each_ms", "calls"),
    [(10, 1 + 51 + 301), (500, 1 + 3 + 50), (0.02, MOST_CALLS), (2000, 15), (40_000, 2)],
)
def test_so_many_calls_are_asked_for_that_the_minima_are_met_within_the_cap(each_ms: float, calls: int) -> None:
    each_ns = round(each_ms * 1e6)
    first = read_output(EXECUTORCH, ToolOutput(exit_code=0, text=REAL_RUN), JOB)
    assert first.latency is not None
    report = replace(first, latency=replace(first.latency, samples_ns=(each_ns,) * 3))
    assert EXECUTORCH.calls(LATENCY, None) == FIRST_CALLS
    assert EXECUTORCH.calls(LATENCY, report) == calls


def test_the_warm_up_takes_half_of_calls_that_do_not_last_for_it() -> None:
    fast = split_calls([90, *[10] * 20], LATENCY)
    assert (fast.first_ns, len(fast.warmup_ns), len(fast.samples_ns)) == (90, 10, 10)
    slow = split_calls([90, *[200_000_000] * 20], LATENCY)
    assert (len(slow.warmup_ns), len(slow.samples_ns)) == (3, 17)
