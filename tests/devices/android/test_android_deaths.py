"""Why an app ended: out of memory or a crash, from the log or the system's exit record."""

from __future__ import annotations

import pytest

from harness.devices.android.app.deaths import classify_death
from harness.wire import FailureKind

APP = "org.phonebench.runner.tflite"

LMKD = f"11-25 10:00:01.000   512   512 I lowmemorykiller: Kill '{APP}' (4711), uid 10234, oom_score_adj 0 to free 1 kB"
NATIVE = f"""11-25 10:00:01.0 4711 4720 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 4720 (w), pid 4711
11-25 10:00:01.2 4800 4800 F DEBUG   : pid: 4711, tid: 4720, name: worker  >>> {APP} <<<
11-25 10:00:01.2 4800 4800 F DEBUG   : backtrace:
11-25 10:00:01.2 4800 4800 F DEBUG   :   #00 pc 0001  libtensorflowlite_jni.so
11-25 10:00:01.3  600  700 I Other   : nothing to do with it"""
JAVA = f"""11-25 10:00:01.0 4711 4711 E AndroidRuntime: FATAL EXCEPTION: main
11-25 10:00:01.0 4711 4711 E AndroidRuntime: Process: {APP}, PID: 4711
11-25 10:00:01.0 4711 4711 E AndroidRuntime: java.lang.IllegalStateException: no model"""
HEAP = JAVA.replace("IllegalStateException: no model", "OutOfMemoryError: Failed to allocate")
ZYGOTE = "11-25 10:00:01.0  400  400 I Zygote  : Process 4711 exited due to signal 9 (Killed)"
STRANGER = LMKD.replace(APP, "com.example.game").replace("4711", "47110")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (LMKD, FailureKind.OOM, "ran out of memory"),
        (NATIVE, FailureKind.CRASH, "SIGSEGV"),
        (JAVA, FailureKind.CRASH, "java.lang.IllegalStateException: no model"),
        (HEAP, FailureKind.OOM, "out of memory"),
        (ZYGOTE, FailureKind.OOM, "killed"),
        (f"{JAVA}\n{ZYGOTE}", FailureKind.CRASH, "IllegalStateException"),
        (STRANGER, FailureKind.CRASH, "without a reply"),
        ("", FailureKind.CRASH, "without a reply"),
    ],
)
def test_the_log_tells_how_it_ended(text: str, kind: FailureKind, said: str) -> None:
    death = classify_death(text, "", app_id=APP, pid=4711)
    assert death.kind is kind
    assert said in death.message


def test_the_evidence_is_the_whole_dump_and_nothing_else() -> None:
    evidence = classify_death(NATIVE, "", app_id=APP, pid=4711).evidence
    assert "libtensorflowlite_jni.so" in evidence
    assert "nothing to do with it" not in evidence


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [
        (3, 0, FailureKind.OOM),
        (2, 9, FailureKind.OOM),
        (2, 6, FailureKind.CRASH),
        (5, 11, FailureKind.CRASH),
        (10, 9, FailureKind.CRASH),
        (6, 0, FailureKind.CRASH),
    ],
)
def test_the_record_of_exits_tells_it_where_the_log_does_not(reason: int, status: int, kind: FailureKind) -> None:
    record = f"        ApplicationExitInfo #{{}}:\n  pid={{}} reason={reason} (X) subreason=0 status={status}\n"
    text = record.format(0, 9999).replace(f"reason={reason}", "reason=1") + record.format(1, 4711)
    assert classify_death("", text, app_id=APP, pid=4711).kind is kind


def test_a_process_that_was_never_seen_is_found_by_its_name() -> None:
    assert classify_death(LMKD, "", app_id=APP, pid=None).kind is FailureKind.OOM
