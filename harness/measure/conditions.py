"""The conditions of a cell, derived from its launches, model, variant and gate."""

from __future__ import annotations

from collections.abc import Sequence

from harness.artifacts.manifest import ArtifactState, Manifest, untrained_steps
from harness.measure.clock import coarse_clock
from harness.measure.job import Job, Launched, Seen
from harness.records.artifact import CalibrationSource
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import GateOutcome
from harness.records.metrics import LATENCY, speeds_in_words
from harness.stats.speeds import speeds_of
from harness.stats.steady import SteadyState
from harness.wire import Delegate, NodesLeft, RunReply, RuntimeReport

# At this thermal headroom Android throttles severely. It scales each phone's own threshold to this value.
SEVERE_HEADROOM = 1.0

# How many types of operators a sentence names.
NAMED = 3

# Conditions that follow from outputs alone.
OF_OUTPUTS = (
    ConditionId.INPUTS_DIFFER,
    ConditionId.NOT_COMPARED,
    ConditionId.CONSTANT_OUTPUT,
    ConditionId.NON_FINITE,
)

_UNTRAINED = (
    "; {source} gives an untrained network: name its weights in a model.toml, or pass --random-weights if that is meant"
)


def own_conditions(job: Job, seen: Seen) -> list[Condition]:
    """Return the conditions that follow from the launches, the model and the variant; the device reports its own."""
    candidates = [*_of_the_launches(job, seen), *_of_the_model(job, seen)]
    own = [Condition(id=id_, summary=summary) for applies, id_, summary in candidates if applies]
    # What the outputs of the device show comes from the device itself, not from the check at export.
    return [*own, *(c for c in job.artifact.manifest.conditions if seen.outputs is None or c.id not in OF_OUTPUTS)]


# Whether the condition applies, its id, and its summary.
_Candidate = tuple[bool, ConditionId, str]


def _of_the_launches(job: Job, seen: Seen) -> list[_Candidate]:
    profile, all_ = job.profile, len(seen.launched)
    unsteady = [s for s in seen.launched if s.summary.state in (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)]
    disturbed = [launch for launch in seen.launched if launch.tainted and launch not in unsteady]
    late = [launch for launch in seen.launched if launch.gate.outcome is GateOutcome.TIMEOUT]
    left = "left out of the figures" if seen.good else "no launch was good, so the figures come from these"
    hottest = max((h for launch in seen.launched if (h := highest_headroom(launch.reply)) is not None), default=0.0)
    claims = profile.claims_from
    few = claims is not None and len(seen.counted) < claims
    speeds = speeds_of([launch.summary.median_ns for launch in seen.counted])
    coarse = coarse_clock([launch.reply for launch in seen.counted])
    return [
        (
            profile.indicative or few,
            ConditionId.INDICATIVE,
            f"profile {profile.name.value!r} measures briefly: it cannot support a claim about a difference"
            if profile.indicative
            else f"a claim takes {claims} launches of profile {profile.name.value!r}; there were {len(seen.counted)}",
        ),
        (
            bool(unsteady) and (profile.retries > 0 or profile.trim),
            ConditionId.UNSTEADY,
            f"{len(unsteady)} of {all_} launches did not settle, {left}",
        ),
        (
            bool(disturbed),
            ConditionId.THROTTLED,
            f"{len(disturbed)} of {all_} launches were disturbed ({'; '.join(_reasons(disturbed))}), {left}",
        ),
        (
            bool(speeds),
            ConditionId.TWO_SPEEDS,
            f"launches ran at {len(speeds)} speeds: {speeds_in_words(LATENCY, speeds)}",
        ),
        (coarse is not None, ConditionId.COARSE_CLOCK, coarse or ""),
        (
            hottest >= SEVERE_HEADROOM,
            ConditionId.THERMAL,
            f"the phone's thermal headroom reached {hottest:.2f}; at 1 and above it slows down severely",
        ),
        (
            bool(late),
            ConditionId.GATE_TIMEOUT,
            f"{len(late)} of {all_} launches started although {'; '.join(_gate_reasons(late))}",
        ),
    ]


def _of_the_model(job: Job, seen: Seen) -> list[_Candidate]:
    runtime = seen.launched[-1].reply.runtime
    return [
        (
            job.card.random_weights,
            ConditionId.RANDOM_WEIGHTS,
            "the weights are random: speed, memory and size are real, but accuracy was not measured"
            + (_UNTRAINED.format(source=job.card.source) if job.model.facts.untrained else ""),
        ),
        (
            job.model.facts.random_inputs,
            ConditionId.RANDOM_INPUTS,
            "the model has no test data: inputs were noise, and accuracy was not measured",
        ),
        (
            job.artifact.manifest.calibration is CalibrationSource.RANDOM,
            ConditionId.RANDOM_CALIBRATION,
            "the quantiser was calibrated on noise: real calibration data would give a higher accuracy",
        ),
        (
            bool(job.card.state),
            ConditionId.FED_STATE,
            f"every call gets the state of the float model ({', '.join(link.input for link in job.card.state)}), which "
            "begins with zeros and runs through the inputs in order"
            if job.artifact.manifest.recipe
            else "the states of a ready-made file are those of the data, or zeros in every call",
        ),
        *_of_the_variant(job.artifact.manifest),
        (
            runtime is not None and (runtime.delegate_used != runtime.delegate_requested.value or _took_none(runtime)),
            ConditionId.FALLBACK,
            f"requested {job.cell.delegate.value}, {_instead(runtime)}",
        ),
        _partial(runtime),
        _software_gpu(runtime),
        (
            job.cell.delegate is Delegate.NNAPI,
            ConditionId.DEPRECATED,
            "Android deprecated NNAPI in version 15: its drivers are no longer developed, and newer phones drop it",
        ),
    ]


def _took_none(runtime: RuntimeReport) -> bool:
    """Whether the delegate took no node, although the reply names it."""
    return bool(runtime.nodes_total) and runtime.nodes_delegated == 0 and runtime.delegate_used != Delegate.CPU.value


def _instead(runtime: RuntimeReport | None) -> str:
    if runtime is not None and _took_none(runtime):
        return f"it took none of {runtime.nodes_total} nodes"
    return f"ran on {runtime.delegate_used if runtime else '?'}"


def _partial(runtime: RuntimeReport | None) -> _Candidate:
    """A delegate that took only some of the nodes. If it took none, that is a fallback."""
    total, taken = (runtime.nodes_total or 0, runtime.nodes_delegated or 0) if runtime else (0, 0)
    left = left_in_words(runtime.nodes_left) if runtime and runtime.nodes_left else ""
    summary = f"ran partly on {runtime.delegate_used if runtime else '?'}: {taken} of {total} nodes"
    return 0 < taken < total, ConditionId.PARTIAL, f"{summary}, not {left}" if left else summary


def left_in_words(left: Sequence[NodesLeft]) -> str:
    """Return the nodes that a delegate did not take as ``5 DEPTHWISE_CONV_2D, 1 MEAN and 2 other types``."""
    named = [f"{part.nodes} {part.kind}" for part in left[:NAMED]]
    more = len(left) - len(named)
    words = ", ".join(named)
    return f"{words} and {more} other type{'s' if more > 1 else ''}" if more else words


def _software_gpu(runtime: RuntimeReport | None) -> _Candidate:
    """A GPU driver that computes on the processor."""
    accelerator = runtime.accelerator if runtime else None
    name = accelerator.name if accelerator else "?"
    summary = f"no GPU: {name} computes on the processor"
    return accelerator is not None and accelerator.software, ConditionId.SOFTWARE_GPU, summary


def _of_the_variant(manifest: Manifest) -> list[_Candidate]:
    """Conditions that come from how the artifact was made."""
    untrained = untrained_steps(manifest)
    return [
        (
            manifest.calibration in (CalibrationSource.BATCH_NORM, CalibrationSource.RANGE),
            ConditionId.DATA_FREE,
            "the quantiser was calibrated without data: calibrating on real inputs may give a higher accuracy",
        ),
        (
            untrained != "",
            ConditionId.NOT_FINE_TUNED,
            f"not trained again after {untrained}: training would raise the accuracy",
        ),
        (
            manifest.state is ArtifactState.UNVERIFIED,
            ConditionId.UNVERIFIED,
            "the file was not verified before it reached the device: its runtime is not on the computer that built it",
        ),
    ]


def _reasons(launched: Sequence[Launched]) -> list[str]:
    return list(dict.fromkeys(reason for launch in launched for reason in launch.tainted))[:2]


def _gate_reasons(launched: Sequence[Launched]) -> list[str]:
    return list(dict.fromkeys(reason for launch in launched for reason in launch.gate.reasons))[:2]


def highest_headroom(reply: RunReply) -> float | None:
    """Return the highest thermal headroom during a launch, None if the device did not report it."""
    if reply.state is None:
        return None
    samples = (reply.state.before, *reply.state.series, reply.state.after)
    return max((s.thermal_headroom for s in samples if s.thermal_headroom is not None), default=None)
