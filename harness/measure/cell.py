"""Measures one cell on one device. The order of the phases is written here and nowhere else.

The artifact is pushed; then launches follow until the profile's stop rule is met. Each launch waits at the gate, runs,
and is checked afterwards; one that throttled or did not settle is repeated after a rest. Accuracy comes from the
outputs of the first launch. A failure on the device becomes a measurement with its reason. Only a device that is gone
or unfit raises an exception.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import msgspec

from harness.devices.device import Device, Execution
from harness.devices.energy import why_no_energy, with_blocks
from harness.measure.deploy import deploy_artifact
from harness.measure.gate import Gate
from harness.measure.job import Job, Keeper, Launched, Ran, Seen
from harness.measure.language import why_too_large
from harness.measure.latency import SteadyCalls, summarise_calls
from harness.measure.operators import profile_operators, with_operators
from harness.measure.pictures import with_pictures
from harness.measure.request import deadline_s, job_feed, make_request
from harness.measure.summary import failed_measurement, good_measurement
from harness.plan.cells import Cell
from harness.records.energy_pairs import pair_of_reply
from harness.records.measurement import CellStatus, GateFacts, Measurement
from harness.spec.profiles import SECOND_NS
from harness.stats.energy_pairs import BlockPair
from harness.stats.steady import SteadyState
from harness.stats.stopping import enough_launches
from harness.wire import OutputsPass, Passes, ReplyStatus, RunReply
from harness.wire.tensors import read_tensors

# A launch that ends within this time does not warm up a phone that rested before it.
AT_ONCE_NS = 2 * SECOND_NS

# Larger outputs are not stored: accuracy and fidelity are in the measurement, and the file can be run again.
MAX_OUTPUTS_BYTES = 64 << 20

# If this many launches in a row fail on every retry, the cell will not settle. Its later launches get no retries.
HOPELESS = 2


def measure(
    job: Job, device: Device, keeper: Keeper, now: Callable[[], str], *, gate: Gate | None = None
) -> Measurement:
    """Run ``job`` on ``device`` and return its measurement; ``now`` returns the time in ISO 8601.

    ``gate`` is the device's gate, which remembers the best speed probe from cell to cell. Raises `DeviceError` when the
    device is gone, unfit or cannot take the artifact, `StoreError` when replies cannot be stored.
    """
    if job.artifact.path is None or job.artifact.manifest.sha256 is None:
        return unmeasured(job.cell, CellStatus.FAILED, "there is no artifact to run", now)
    if job.profile.idle_ns and (reason := why_no_energy(device.info)):
        return unmeasured(job.cell, CellStatus.UNSUPPORTED, reason, now)
    if reason := why_too_large(job, device):
        return unmeasured(job.cell, CellStatus.UNSUPPORTED, reason, now)
    return conclude(job, launch_cell(job, device, keeper, now, gate or Gate(device)), keeper)


def launch_cell(job: Job, device: Device, keeper: Keeper, now: Callable[[], str], gate: Gate) -> Ran:
    """Make the launches of ``job``, which is all that needs its device, and return what they left.

    Neither labels nor the model's own code are needed for it. Raises as `measure` does.
    """
    started_at = now()
    deploy_artifact(device, job.artifact)
    job = replace(job, profile=with_blocks(job.profile, device.info))
    seen = Seen()
    launches = Launches(job, device, keeper, gate)
    for _ in range(job.launches or max(job.profile.checkpoints)):
        if not launches.one(seen):
            return Ran(started_at=started_at, ended_at=now(), seen=seen, good=False)
        if _enough(job, seen):
            break
    ran = Ran(started_at=started_at, ended_at=now(), seen=seen, good=True)
    if not job.operators:
        return ran
    median_ns = statistics.median(launch.summary.median_ns for launch in seen.counted)
    return replace(ran, operators=profile_operators(job, device, keeper, launches.next_number, median_ns))


def conclude(job: Job, ran: Ran, keeper: Keeper) -> Measurement:
    """Return the measurement of a cell from what its launches left."""
    if not ran.good:
        return failed_measurement(job, ran.seen, ran.started_at, ran.ended_at)
    measurement = good_measurement(job, ran.seen, ran.started_at, ran.ended_at)
    if ran.operators is not None:
        measurement = with_operators(measurement, ran.operators)
    return replace(measurement, groups=with_pictures(job.card, job.model, measurement.groups, keeper))


class Launches:
    """The launches of one cell. Each try has its own number, so that a late reply is never taken for a newer one."""

    def __init__(self, job: Job, device: Device, keeper: Keeper, gate: Gate) -> None:
        self._job, self._device, self._keeper, self._gate = job, device, keeper, gate
        self._number = 0
        self._spoilt = 0
        gate.begin_cell()

    @property
    def next_number(self) -> int:
        """The number of a launch that is not one of these."""
        return self._number

    def one(self, seen: Seen) -> bool:
        """Make one launch, repeated after a rest as the profile allows; return False if it gave no figures at all."""
        retries = self._job.profile.retries if self._spoilt < HOPELESS else 0
        for retry in range(retries + 1):
            launched = self._try(seen, retry)
            if launched is None:
                return False
            seen.launched.append(launched)
            if not launched.tainted:
                self._spoilt = 0
                return True
            if retry < retries:
                self._gate.rest()
        self._spoilt += 1
        self._gate.forget_probe()
        return True

    def _try(self, seen: Seen, retry: int) -> Launched | None:
        job, device = self._job, self._device
        gate = self._gate.wait(job.profile)
        seen.note(device.conditions())
        # Outputs are the same in every launch and take a second per input, so only the first launch returns them.
        request = make_request(job, self._number, outputs=seen.outputs is None and self._number == 0)
        self._number += 1
        execution = device.execute(request, job_feed(job).path, deadline_s(job))
        sha256 = self._keeper.keep(execution.reply_bytes, ".json")
        seen.last = reply = execution.reply
        seen.note(execution.conditions)
        if _ran_nothing(reply):
            self._gate.idled()
        summary = summarise_calls(reply.latency, trim=job.profile.trim) if reply.latency else None
        if reply.status is not ReplyStatus.OK or summary is None:
            return None
        gate, disturbed = self._gate.after(gate, execution.watch)
        self._keep_outputs(seen, execution)
        return Launched(
            reply=reply,
            sha256=sha256,
            summary=summary,
            gate=gate,
            retry=retry,
            tainted=self._tainted(summary, gate, disturbed),
            watch_sha256=self._keep_watch(execution),
        )

    def _tainted(self, summary: SteadyCalls, gate: GateFacts, disturbed: tuple[str, ...]) -> tuple[str, ...]:
        """Why the launch does not count; empty for a profile without retries, whose result includes transients."""
        if not self._job.profile.retries:
            return ()
        unsteady = summary.state in (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)
        return (*((summary.state.value,) if unsteady else ()), *disturbed) if gate.before is not None else ()

    def _keep_outputs(self, seen: Seen, execution: Execution) -> None:
        reply = execution.reply
        if reply.outputs is None or execution.outputs is None:
            return
        seen.outputs = read_tensors(execution.outputs, reply.outputs.tensors, reply.outputs.count)
        data = execution.outputs.read_bytes()
        if len(data) <= MAX_OUTPUTS_BYTES:
            seen.outputs_sha256 = self._keeper.keep(data, ".bin")

    def _keep_watch(self, execution: Execution) -> str | None:
        if not execution.watch:
            return None
        return self._keeper.keep(msgspec.json.encode(execution.watch), ".watch.json")


def _ran_nothing(reply: RunReply) -> bool:
    """Whether the runner refused at once, by its own clock. A delegate that fails after a long preparation heats up."""
    if reply.status is not ReplyStatus.UNSUPPORTED or reply.load or reply.latency or reply.state is None:
        return False
    return reply.state.after.at_ns - reply.state.before.at_ns < AT_ONCE_NS


def launch_once(job: Job, device: Device) -> RunReply:
    """Run one input of ``job`` once, untimed, to see whether it works, and return the reply. Raises `DeviceError`."""
    manifest = job.artifact.manifest
    if job.artifact.path is not None and manifest.sha256 is not None:
        deploy_artifact(device, job.artifact)
    request = replace(make_request(job, 0), passes=Passes(outputs=OutputsPass(count=1)))
    return device.execute(request, job_feed(job).path, deadline_s(job)).reply


def unmeasured(cell: Cell, status: CellStatus, reason: str, now: Callable[[], str]) -> Measurement:
    """Return the record of a cell that did not reach a device."""
    at = now()
    return Measurement(cell=cell.key, status=status, reason=reason, started_at=at, ended_at=at)


def _enough(job: Job, seen: Seen) -> bool:
    if _never_energy(job, seen):
        return True
    if job.launches is not None:
        return False
    medians = [launch.summary.median_ns for launch in seen.good]
    return enough_launches(medians, job.profile.half_width, job.profile.checkpoints)


def _never_energy(job: Job, seen: Seen) -> bool:
    """Whether the first launches show that the session will have no energy, such as on a phone that charges."""
    if not job.profile.idle_ns or len(seen.launched) < HOPELESS:
        return False
    return not any(isinstance(pair_of_reply(launch.reply), BlockPair) for launch in seen.launched)
