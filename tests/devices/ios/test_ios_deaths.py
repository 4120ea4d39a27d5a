"""Why the app ended without a reply, from reports as iOS writes them: a line of JSON, then more JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.devices.ios.deaths import Ending, Report, classify_death
from harness.wire import FailureKind

PID = 512


def report(name: str, body: dict[str, Any]) -> Report:
    header = {"bug_type": "309", "timestamp": "2026-11-30 00:00:00.00 +0000", "os_version": "iPhone OS 17.4 (21E219)"}
    return Report(name=name, text=f"{json.dumps(header)}\n{json.dumps(body, indent=2)}")


def jetsam(pid: int = PID, reason: str | None = "per-process-limit") -> Report:
    process = {"pid": pid, "name": "Runner", "rpages": 98304, "states": ["frontmost"]}
    others = [{"pid": 1, "name": "launchd", "rpages": 800}]
    body = {"memoryStatus": {"pageSize": 16384}, "largestProcess": "Runner"}
    return report(
        "JetsamEvent-2026-11-30-000000.ips",
        body | {"processes": [*others, process | ({"reason": reason} if reason else {})]},
    )


def crash(pid: int = PID, **body: Any) -> Report:
    exception = {"type": "EXC_BAD_ACCESS", "signal": "SIGSEGV", "subtype": "KERN_INVALID_ADDRESS at 0x0"}
    return report("Runner-2026-11-30-000000.ips", {"pid": pid, "procName": "Runner", "exception": exception} | body)


def ending(*reports: Report, code: int | None = None, signal: int | None = None) -> Ending:
    return Ending(pid=PID, code=code, signal=signal, reports=reports)


@pytest.mark.parametrize("reason", ["per-process-limit", "vm-pageshortage", "highwater"])
def test_an_app_in_a_jetsam_report_ran_out_of_memory(reason: str) -> None:
    death = classify_death(ending(jetsam(reason=reason), signal=9))
    assert death.kind is FailureKind.OOM
    # 98304 pages of 16 KiB.
    assert f"({reason}, with 1536 MiB in memory)" in death.message
    assert "JetsamEvent-2026" in death.evidence


@pytest.mark.parametrize("other", [jetsam(pid=77), jetsam(reason=None)], ids=["another process", "a bystander"])
def test_a_jetsam_report_about_others_explains_nothing(other: Report) -> None:
    death = classify_death(ending(other))
    assert (death.kind, death.explained) == (FailureKind.CRASH, False)


def test_a_crash_names_its_signal_and_the_library() -> None:
    threads = [{"frames": []}, {"triggered": True, "frames": [{"imageIndex": 0}, {"imageIndex": 1}, {"imageIndex": 2}]}]
    images = [{"name": "libsystem_kernel.dylib"}, {"name": "TensorFlowLiteCCoreML"}, {"name": "Runner"}]
    death = classify_death(ending(crash(threads=threads, usedImages=images), signal=11))
    assert death.kind is FailureKind.CRASH
    assert death.message == "the runner app crashed with SIGSEGV in TensorFlowLiteCCoreML"


@pytest.mark.parametrize("frame", [{}, {"imageIndex": -1}, {"imageIndex": 9}, {"symbol": "objc_msgSend"}])
def test_a_frame_that_is_in_no_library_names_none(frame: dict[str, Any]) -> None:
    threads = [{"triggered": True, "frames": [frame, {"imageIndex": 0}]}]
    images = [{"name": "TensorFlowLiteC"}, {"name": "CoreFoundation"}]
    death = classify_death(ending(crash(threads=threads, usedImages=images), signal=11))
    assert death.message == "the runner app crashed with SIGSEGV in TensorFlowLiteC"


def test_a_crash_of_an_earlier_process_is_not_this_one() -> None:
    death = classify_death(ending(crash(pid=PID - 1), code=3))
    assert death.message == "the runner app ended with exit code 3 and left no reply"


def test_a_limit_on_memory_is_no_crash() -> None:
    body: dict[str, Any] = {"exception": {"type": "EXC_RESOURCE", "subtype": "MEMORY"}}
    assert classify_death(ending(crash(**body))).kind is FailureKind.OOM
    assert classify_death(ending(crash(termination={"namespace": "JETSAM"}))).kind is FailureKind.OOM


def test_the_watchdog_is_named() -> None:
    body: dict[str, Any] = {
        "exception": {"type": "EXC_CRASH"},
        "termination": {"namespace": "FRONTBOARD", "code": 2343432205},
    }
    death = classify_death(ending(crash(**body)))
    assert death.kind is FailureKind.CRASH
    assert "did not answer in time" in death.message


@pytest.mark.parametrize(
    ("code", "signal", "kind"),
    [
        (None, 9, FailureKind.OOM),
        (None, 6, FailureKind.CRASH),
        (None, 15, FailureKind.LOST),
        (1, None, FailureKind.CRASH),
        (0, None, FailureKind.REPLY),
    ],
)
def test_without_a_report_the_instruments_server_says_it(
    code: int | None, signal: int | None, kind: FailureKind
) -> None:
    death = classify_death(ending(code=code, signal=signal))
    assert (death.kind, death.explained) == (kind, True)


@pytest.mark.parametrize("text", ["", "{", "[]", "null\nnull", "\x00" * 40, '{"a": 1}\n{"processes": "none"}'])
def test_a_report_that_cannot_be_read_explains_nothing(text: str) -> None:
    for name in ("JetsamEvent-1.ips", "Runner-1.ips"):
        assert not classify_death(ending(Report(name=name, text=text))).explained
