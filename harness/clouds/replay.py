"""The phone of a cloud as a device whose launches have been made already: each is answered by what it left.

So a run in a cloud is checked, summarised and judged by the code that does so for any other phone. What only somebody
beside the phone could do is missing: nothing waits for it to cool, reads its state from outside, or repeats a launch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clouds.loop_results import LoopLeft, LoopReply, launch_name
from harness.devices.android.facts import PhoneFacts, page_condition
from harness.devices.android.state import LOW_BATTERY_PERCENT
from harness.devices.device import Execution
from harness.devices.energy import NO_COUNTER
from harness.devices.replies import failed, read_reply
from harness.measure.gate import COOL
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo, Readiness
from harness.wire import FailureKind, ReplyStatus, RunReply, RunRequest, StateSample, encode

# How long the app rests before each launch but the first. It is the shortest wait of the gate for phones.
REST_S = 10.0
# Of a number that the app states, the memory in bytes being the largest. Python refuses to read very long ones.
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLaunch:
    """A launch that was sent: its request by digest, and which scenario of which app it is."""

    cell: str
    launch: int
    job: str
    scenario: int
    app_id: str
    request_sha256: str

    @property
    def name(self) -> str:
        """Its name on the phone."""
        return launch_name(self.job, self.scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudVisit:
    """A job that has ended: the cloud's title and what it says, the key of the phone, and what was sent and left."""

    cloud: str
    words: str
    key: str
    physical: bool
    sent: Sequence[SentLaunch]
    left: LoopLeft


class CloudPhone:
    """The phone of a job that has ended. ``folder`` is for the outputs of a launch."""

    def __init__(self, visit: CloudVisit, folder: Path) -> None:
        self._visit, self._folder = visit, folder
        self._sent = {(sent.cell, sent.launch): sent for sent in visit.sent}
        self._facts = _facts(visit)
        self._info = _info(visit, self._facts)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return True

    def launches_of(self, cell: str) -> int:
        """Return how many launches of a cell are worth a look: up to the last that ran or that says why it did not."""
        ran = [sent.launch for sent in self._visit.sent if sent.cell == cell and self._explained(sent)]
        return max(ran, default=0) + 1

    def conditions(self) -> tuple[Condition, ...]:
        came = len(self._visit.left.replies)
        missing = f" {came} of {len(self._visit.sent)} launches came back." if came < len(self._visit.sent) else ""
        cloud = Condition(
            id=ConditionId.CLOUD,
            summary=f"measured in {self._visit.cloud}",
            detail=(
                "The phone is the cloud's: it changes from job to job, and nobody knows what else it does. There was "
                f"no gate and no watch from outside. The app rested {REST_S:g} s between launches, at whatever "
                f"temperature, and no launch was repeated.{missing}"
            ),
        )
        virtual = Condition(
            id=ConditionId.EMULATOR,
            summary="virtual phone: its figures are those of the computer it runs on",
            detail=f"{self._visit.cloud} lists {self._visit.key} as a virtual device",
        )
        return (cloud,) if self._visit.physical else (cloud, virtual)

    def readiness(self) -> Readiness:
        """Return nothing: the state before and after a launch is in its reply."""
        return Readiness()

    def rest(self, seconds: float) -> None:
        """Do nothing: the app has rested there."""

    def push(self, path: Path, sha256: str) -> bool:  # noqa: ARG002  the file was sent with the app
        return False

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:  # noqa: ARG002
        sent = self._sent.get((request.cell, request.launch))
        if sent is None or sent.request_sha256 != hashlib.sha256(encode(request)).hexdigest():
            changed = "a file, or phonebench, has changed since the job was sent: send it again"
            return failed(request, FailureKind.DIGEST, changed)
        left = self._visit.left.replies.get(sent.name)
        if left is None:
            return self._missing(request, sent)
        if left.request_sha256 != sent.request_sha256:
            return failed(request, FailureKind.REPLY, "the result is of another request: a stale file")
        execution = read_reply(left.reply, request, self._outputs(left))
        return replace(execution, conditions=(*execution.conditions, *self._of_launch(execution.reply)))

    def clean(self) -> None:
        """Do nothing: the phone has been given back."""

    def _explained(self, sent: SentLaunch) -> bool:
        return sent.name in self._visit.left.replies or self._visit.left.death(sent.name, sent.app_id) is not None

    def _missing(self, request: RunRequest, sent: SentLaunch) -> Execution:
        death = self._visit.left.death(sent.name, sent.app_id)
        if death is not None:
            return failed(request, death.kind, death.message, detail=death.evidence)
        why = f"the job ended without a result of this launch ({self._visit.words})"
        damaged = "; ".join(f"{name}: {reason}" for name, reason in self._visit.left.damaged.items())
        return failed(request, FailureKind.LOST, why, detail=f"damaged: {damaged}" if damaged else "")

    def _outputs(self, left: LoopReply) -> Path | None:
        if left.outputs is None:
            return None
        path = self._folder / "outputs.bin"
        path.write_bytes(left.outputs)
        return path

    def _of_launch(self, reply: RunReply) -> list[Condition]:
        if reply.status is not ReplyStatus.OK:
            return []
        page = page_condition(self._facts, reply.runner)
        state = _of_state(reply.state.before) if reply.state is not None else []
        return [*state, *([page] if page else [])]


def _of_state(before: StateSample) -> list[Condition]:
    conditions: list[Condition] = []
    if before.thermal_status not in (None, COOL):
        hot, at = "the phone is hot and has slowed down", before.temperatures_c.get("battery", "unknown")
        detail = f"thermal status {before.thermal_status}, battery at {at} °C"
        conditions.append(Condition(id=ConditionId.THERMAL, summary=hot, detail=detail))
    if before.battery_percent is not None and before.battery_percent < LOW_BATTERY_PERCENT:
        low = f"battery at {before.battery_percent:g} %"
        detail = "phones save power when the battery is low"
        conditions.append(Condition(id=ConditionId.LOW_BATTERY, summary=low, detail=detail))
    return conditions


def _facts(visit: CloudVisit) -> PhoneFacts:
    """Return what the app said about the phone, in the form in which the adb shell would have."""
    stated = visit.left.device

    def number(name: str) -> int:
        text = stated.get(name, "")
        return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0

    return PhoneFacts(
        serial="",
        manufacturer=stated.get("manufacturer", ""),
        model=stated.get("model", ""),
        soc=stated.get("soc", "").strip() or "unknown",
        release=stated.get("release", ""),
        api=number("api"),
        abis=tuple(stated.get("abis", "").split()),
        cores=number("cores"),
        memory_bytes=number("memory_bytes"),
        emulator=not visit.physical,
        booted=True,
        fingerprint=stated.get("build", ""),
        security_patch=stated.get("security_patch", ""),
        page_bytes=number("page_bytes") or None,
        boot_id="",
    )


def _info(visit: CloudVisit, facts: PhoneFacts) -> DeviceInfo:
    info = facts.info(visit.key)
    details = {name: text for name, text in info.details.items() if text and name not in ("serial", "unit")}
    return replace(info, details=details | {NO_COUNTER: "nothing beside a phone of this cloud reads its counter"})
