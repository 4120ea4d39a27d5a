"""Why an app ended: out of memory or a crash, from the log or the system's exit record."""

from __future__ import annotations

import pytest

from harness.devices.android.app.deaths import Death, Ending, classify_death
from harness.wire import FailureKind

APP = "org.phonebench.runner.tflite"


def death(log: str, exits: str = "", *, pid: int | None = 4711, launch: str = "", since: str = "") -> Death:
    return classify_death(Ending(log=log, exits=exits, app_id=APP, pid=pid, launch=launch, since=since))


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
LMKD_9 = f"""11-25 10:00:01.0 512 512 I lowmemorykiller: Killing '{APP}' (4711), uid 10234, adj 0
11-25 10:00:01.0 512 512 I lowmemorykiller:    to free 921600kB because system is under critical memory pressure"""
ZYGOTE = "11-25 10:00:01.0  400  400 I Zygote  : Process 4711 exited due to signal 9 (Killed)"
BEGAN = f"11-25 10:00:00.1  600  700 I ActivityManager: Start proc 4711:{APP}/u0a234 for pre-top-activity {{{APP}/.R}}"
STRANGER = LMKD.replace(APP, "com.example.game").replace("4711", "47110")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (LMKD, FailureKind.OOM, "ran out of memory"),
        (LMKD_9, FailureKind.OOM, "ran out of memory"),
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
    found = death(text)
    assert found.kind is kind
    assert said in found.message


def test_the_evidence_is_the_whole_dump_and_nothing_else() -> None:
    evidence = death(NATIVE).evidence
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
    assert death("", text).kind is kind


SIGNAL_9 = "Process 4711 exited due to signal {}"


@pytest.mark.parametrize("words", ["(9)", "9 (Killed)", "9"])
def test_every_versions_word_for_a_kill_is_read(words: str) -> None:
    found = death(f"11-25 10:00:01.0  400  400 I Zygote  : {SIGNAL_9.format(words)}")
    assert (found.kind, found.explained) == (FailureKind.OOM, True)


OTHERS = {
    "memory killer, another process of the app": LMKD.replace(APP, f"{APP}:door").replace("4711", "4899"),
    "crash of an earlier process": NATIVE.replace("4711", "4600"),
    "Java crash of an earlier process": JAVA.replace("4711", "4600"),
    "a number that is no process": f"11-25 10:00:01.0  600  700 I Other   : wrote 4711 bytes of {APP}",
    "killed in favour of it": "11-25 10:00:01.0  512  512 I lowmemorykiller: Kill 'com.game' (99), uid 10",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_what_happens_to_another_process_is_no_cause(text: str) -> None:
    assert not death(text).explained
    assert not death(f"{BEGAN}\n{text}", pid=None).explained


def test_what_the_log_has_from_before_the_launch_is_no_cause() -> None:
    mark = "11-25 10:00:02.0 3999 3999 I phonebench: launch j7"
    assert not death(f"{NATIVE}\n{mark}", launch="j7").explained
    assert "SIGSEGV" in death(f"{mark}\n{NATIVE}", launch="j7").message
    # A ring buffer may have lost the mark, and a clock that was set back changes nothing.
    assert "SIGSEGV" in death(NATIVE, launch="j7").message


def test_the_process_of_a_launch_is_the_first_after_its_mark_although_android_starts_the_activity_again() -> None:
    mark = "11-25 10:00:00.0 3999 3999 I phonebench: launch j7"
    again = BEGAN.replace("4711", "4800")
    assert "SIGSEGV" in death(f"{again}\n{mark}\n{BEGAN}\n{NATIVE}\n{again}", pid=None, launch="j7").message


def test_a_java_crash_of_a_process_that_was_never_seen_is_told_by_its_own_line() -> None:
    assert "java.lang.IllegalStateException: no model" in death(JAVA, pid=None).message


@pytest.mark.parametrize(
    "thrown", ["org.x.Boom$Inner: at 4", "java.lang.UnsatisfiedLinkError: dlopen", "kotlin.KotlinNothing"]
)
def test_a_java_crash_names_what_was_thrown_whatever_its_class(thrown: str) -> None:
    assert thrown in death(JAVA.replace("java.lang.IllegalStateException: no model", thrown)).message


@pytest.mark.parametrize(
    ("why", "said", "explained"),
    [
        (f"stop {APP} due to from pid 4242", "stopped by something else", False),
        ("remove task", "stopped by something else", False),
        ("bg anr", "the phone ended the runner app (bg anr)", True),
        ("excessive cpu 4000 during 60000", "the phone ended the runner app (excessive cpu", True),
    ],
)
def test_the_activity_managers_reason_is_passed_on(why: str, said: str, explained: bool) -> None:
    killing = f"11-25 10:00:01.0  600  700 I ActivityManager: Killing 4711:{APP}/u0a234 (adj 0): {why}"
    found = death(f"{killing}\n11-25 10:00:01.1  400  400 I Zygote  : {SIGNAL_9.format('9 (Killed)')}")
    assert (said in found.message, found.explained) == (True, explained)


def test_without_a_log_the_record_of_a_process_that_was_never_seen_is_the_first_one_after_the_start() -> None:
    record = """        ApplicationExitInfo #{}:
          timestamp=2026-11-25 {}.123
          pid={}
          process={}
          reason={} (X)
          status=0
"""
    text = "".join(
        (
            record.format(0, "10:00:09", 4800, f"{APP}:door", 3),
            record.format(1, "10:00:05", 4711, APP, 5),
            record.format(2, "09:59:00", 4600, APP, 3),
        )
    )
    assert death("", text, pid=None, since="2026-11-25 10:00:01").message == "the runner app crashed"
    assert not death("", text, pid=None, since="2026-11-25 10:00:06").explained


def test_a_process_that_was_never_seen_is_found_by_its_name() -> None:
    assert death(f"{BEGAN}\n{LMKD}", pid=None).kind is FailureKind.OOM
