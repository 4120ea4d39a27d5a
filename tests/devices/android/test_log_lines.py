"""Which lines of a phone's log belong to a launch, and which process it was; the lines are Android's own wording."""

from __future__ import annotations

from harness.devices.android.app.loglines import parse_log, process_of, since_launch

APP = "org.phonebench.runner.tflite"
MARK = "11-25 10:00:0{second}.0  900  900 I phonebench: launch job-1"


def started(pid: int, reason: str) -> str:
    return f"11-25 10:00:05.0  600  700 I ActivityManager: Start proc {pid}:{APP}/u0a234 for {reason}"


ACTIVITY = f"pre-top-activity {{{APP}/.RunnerActivity}}"
PROVIDER = f"content provider {{{APP}/.JobProvider}}"


def test_a_process_that_answers_for_a_provider_is_not_the_launch() -> None:
    log = "\n".join([MARK.format(second=4), started(71, PROVIDER), started(72, ACTIVITY)])
    assert process_of(parse_log(log), "job-1", APP) == 72
    alone = "\n".join([MARK.format(second=4), started(71, PROVIDER)])
    assert process_of(parse_log(alone), "job-1", APP) is None


def test_a_launch_begins_at_its_last_mark() -> None:
    log = "\n".join([MARK.format(second=1), started(71, ACTIVITY), MARK.format(second=6), started(72, ACTIVITY)])
    assert process_of(parse_log(log), "job-1", APP) == 72
    assert [line.text.split()[2] for line in since_launch(parse_log(log), "job-1")] == [f"72:{APP}/u0a234"]
