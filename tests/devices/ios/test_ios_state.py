"""What a reply of the app says about heat."""

from __future__ import annotations

import pytest

from harness.devices.ios.state import launch_conditions
from harness.records.conditions import ConditionId
from harness.wire import DeviceStates, ReplyStatus, RunnerInfo, RunReply, StateSample


def reply(*words: str | None) -> RunReply:
    """A reply with these thermal states, in order."""
    before, *series, after = (StateSample(at_ns=at, thermal_status=word) for at, word in enumerate(words))
    states = DeviceStates(before=before, series=tuple(series), after=after)
    runner = RunnerInfo(kind="ios-app", version="0.1.0")
    return RunReply(cell="c", launch=0, status=ReplyStatus.OK, runner=runner, state=states)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("none", "light", "severe", "light"), "severe"),
        (("critical", "none"), "critical"),
        ((None, "light", "none"), "light"),
    ],
)
def test_the_hottest_state_of_a_launch_is_shown(words: tuple[str | None, ...], shown: str) -> None:
    (condition,) = launch_conditions(reply(*words))
    assert (condition.id, condition.detail) == (ConditionId.THERMAL, f"thermal status {shown}")


def test_a_cool_launch_has_no_condition() -> None:
    assert launch_conditions(reply("none", None, "none")) == ()
