"""Device kind ``fake``: a scripted phone for demonstrations and tests. It works on any machine and answers at once.

It runs no model. Latency, load time and memory are computed from the artifact's size (`harness.devices.fake.figures`).
It has no outputs, so accuracy is not measured, and all its results carry the condition ``SIMULATED``. Its replies pass
through the same checks as those of a real runner. ``fake`` is a healthy phone, and ``fake:NAME`` is one of those below.
``fake:7`` or ``fake:NAME-7`` is the seventh of its kind, and ``fake:1..9`` stands for nine of them.

    low, high      a slower and a faster healthy phone
    hot            heats up: THERMAL from the second launch on, slower with every launch and every call
    warm           throttles in its second launch and recovers after a rest
    low-battery    LOW-BATTERY, 12 %
    fallback       runs on the CPU whatever delegate is requested, and reports so
    crash          the runner crashes
    hang           the runner never answers: failure ``timeout``, reported at once
    oom            the runner reports that memory ran out
    half-reply     the reply is truncated
    rubbish        the reply is not JSON
    stale          the reply belongs to another launch
    lost           after two launches the cable is unplugged: every call raises `DeviceError`
    full           there is no free space: a push raises `DeviceError`
    charging       its battery charges, so that it has no energy figures
    no-counter     has no counter of its energy
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from harness import __version__
from harness.devices.device import Execution
from harness.devices.energy import COUNTER, NO_COUNTER
from harness.devices.fake.figures import Script, play_energy, play_latency, play_load_ns, play_memory, total_ns
from harness.devices.kind import name_in
from harness.devices.replies import failed, read_reply
from harness.errors import DeviceError, UnknownNameError
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo, Readiness
from harness.wire import (
    Delegate,
    DeviceStates,
    EnergySource,
    Failure,
    FailureKind,
    LoadTimes,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    RunRequest,
    RuntimeReport,
    StateSample,
    encode,
)


class Character(StrEnum):
    """How a scripted phone behaves; the values are the names in ``fake:NAME``."""

    HEALTHY = ""
    LOW = "low"
    HIGH = "high"
    HOT = "hot"
    WARM = "warm"
    LOW_BATTERY = "low-battery"
    FALLBACK = "fallback"
    CRASH = "crash"
    HANG = "hang"
    OOM = "oom"
    HALF_REPLY = "half-reply"
    RUBBISH = "rubbish"
    STALE = "stale"
    LOST = "lost"
    FULL = "full"
    CHARGING = "charging"
    NO_COUNTER = "no-counter"


# Factors on the latency of ``fake``.
_SPEED: dict[Character, float] = {Character.LOW: 2.5, Character.HIGH: 0.4}
_LAUNCHES_BEFORE_LOSS = 2
_HOT_LAUNCH_GROWTH = 0.08
_HOT_CALL_GROWTH = 0.0005
_COOL_C, _HOT_C, _SEVERE_C = 27.0, 46.0, 50.0
# How a hot phone warms up per launch and cools per second of rest, down to its idle temperature.
_COOLING_C_PER_S, _IDLE_C, _SWITCHED_ON_C, _HEAT_OF_LAUNCH_C = 0.05, 30.0, 36.0, 4.0
# Constant, so that the gate never waits for a scripted phone.
_PROBE_NS = 10_000_000
_WARM_LAUNCH, _WARM_GROWTH = 2, 0.25
_MEMORY_BYTES = 6 * 2**30


_UNIT = re.compile(r"(?:^|-)\d{1,6}$")
_UNITS = re.compile(r"fake:(?P<name>(?:[a-z-]+-)?)(?P<first>\d{1,6})\.\.(?P<last>\d{1,6})")


def expand_fake_key(key: str) -> tuple[str, ...]:
    """Return the units that ``fake:1..9`` stands for; any other key unchanged."""
    match = _UNITS.fullmatch(key)
    if match is None:
        return (key,)
    return tuple(f"fake:{match['name']}{unit}" for unit in range(int(match["first"]), int(match["last"]) + 1))


@contextlib.contextmanager
def open_fake(key: str = "fake") -> Iterator[FakePhone]:
    """Open the scripted phone of ``key``. Raises `UnknownNameError` for an unknown name."""
    phone = FakePhone(key)
    try:
        yield phone
    finally:
        phone.clean()


def check_fake_key(key: str) -> Character:
    """Return the character that ``key`` names; a number after it tells units apart. Raises `UnknownNameError`."""
    name = name_in(key)
    if name is None:
        return Character.HEALTHY
    unit = _UNIT.search(name)
    name = name[: unit.start()] if unit else name
    if unit and not name:
        return Character.HEALTHY
    names = [character.value for character in Character if character.value]
    if name not in names:
        raise UnknownNameError(name, kind="scripted phone", allowed=names, where=repr(key))
    return Character(name)


def fake_info(key: str) -> DeviceInfo:
    """Return what the scripted phone of ``key`` reports about itself."""
    # Units of one character are of one model.
    name = check_fake_key(key).value
    return DeviceInfo(
        key=key,
        kind="fake",
        model=f"scripted phone ({name})" if name else "scripted phone",
        os="simulated",
        cpu="simulated",
        cores=8,
        memory_bytes=_MEMORY_BYTES,
        abi="simulated",
        details={"simulated": "yes"} | _counts_energy(key),
    )


def _counts_energy(key: str) -> dict[str, str]:
    if check_fake_key(key) is Character.NO_COUNTER:
        return {NO_COUNTER: "this scripted phone has none"}
    return {COUNTER: EnergySource.SIMULATED.value}


class FakePhone:
    """A scripted phone. It counts its launches and remembers the sizes of pushed files."""

    def __init__(self, key: str = "fake") -> None:
        self._character = check_fake_key(key)
        self._info = fake_info(key)
        self._sizes: dict[str, int] = {}
        self._launches = 0
        self._clock_ns = 0
        self._heat_c = _SWITCHED_ON_C

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return True

    def conditions(self) -> tuple[Condition, ...]:
        self._check_present()
        conditions = [
            Condition(
                id=ConditionId.SIMULATED,
                summary="scripted phone: its figures are invented and say nothing about the model",
                detail=f"device {self._info.key!r} runs no model",
            )
        ]
        if self._character is Character.HOT and self._launches:
            conditions.append(
                Condition(
                    id=ConditionId.THERMAL,
                    summary="the phone is hot and has slowed down",
                    detail=f"thermal status {self._state().thermal_status}, battery at {self._temperature_c():.1f} °C",
                )
            )
        if self._character is Character.LOW_BATTERY:
            detail = "phones save power when the battery is low"
            conditions.append(Condition(id=ConditionId.LOW_BATTERY, summary="battery at 12 %", detail=detail))
        return tuple(conditions)

    def readiness(self) -> Readiness:
        self._check_present()
        state = self._state()
        return Readiness(
            thermal_status=state.thermal_status,
            battery_c=state.temperatures_c["battery"],
            battery_percent=state.battery_percent,
            charging=state.charging,
            power_save=False,
            governor=state.governor,
            probe_ns=_PROBE_NS,
        )

    def rest(self, seconds: float) -> None:
        """Advance the phone's own clock and let it cool; no real time passes."""
        self._check_present()
        self._clock_ns += round(seconds * 1e9)
        self._heat_c = max(_IDLE_C, self._heat_c - _COOLING_C_PER_S * seconds)

    def push(self, path: Path, sha256: str) -> bool:
        self._check_present()
        if sha256 in self._sizes:
            return False
        if self._character is Character.FULL:
            msg = f"device {self._info.key!r} has no space for {path.name!r}: free some space on the phone"
            raise DeviceError(msg)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != sha256:
            msg = f"{path.name!r} does not match its digest: got {digest}, expected {sha256}; build the artifact again"
            raise DeviceError(msg)
        self._sizes[sha256] = len(data)
        return True

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        self._check_present()
        for part in request.artifact.files:
            if part.sha256 not in self._sizes:
                msg = f"artifact {part.sha256!r} is not on device {self._info.key!r}: push it before the launch"
                raise DeviceError(msg)
        if not inputs.is_file():
            msg = f"the inputs file {str(inputs)!r} does not exist: prepare the model's data first"
            raise DeviceError(msg)
        self._launches += 1
        match self._character:
            case Character.CRASH:
                return failed(request, FailureKind.CRASH, "the runner crashed with SIGSEGV", detail="scripted crash")
            case Character.HANG:
                return failed(request, FailureKind.TIMEOUT, f"the runner gave no reply within {deadline_s:g} s")
            case _:
                # A scripted phone runs no model, so it has no outputs. Its time is not the computer's.
                without = replace(request, passes=replace(request.passes, outputs=None))
                execution = read_reply(self._reply_bytes(request), without, None)
                return replace(execution, watch=(self._state(),))

    def clean(self) -> None:
        self._sizes.clear()

    def _reply_bytes(self, request: RunRequest) -> bytes:
        """Return the reply as it would arrive over the cable."""
        whole = encode(self._reply(request))
        match self._character:
            case Character.HALF_REPLY:
                return whole[: len(whole) // 2]
            case Character.RUBBISH:
                return b"\x7fELF rubbish"
            case Character.STALE:
                return encode(self._reply(replace(request, launch=request.launch + 1)))
            case _:
                return whole

    def _reply(self, request: RunRequest) -> RunReply:
        before, script, passes = self._state(), self._script(request), request.passes
        reply = RunReply(
            cell=request.cell,
            launch=request.launch,
            status=ReplyStatus.OK,
            runner=RunnerInfo(kind="fake", version=__version__),
            runtime=self._runtime(script),
            load=LoadTimes(first_ns=play_load_ns(script)),
            latency=play_latency(script, passes.latency) if passes.latency else None,
            memory=play_memory(script) if passes.memory else None,
        )
        began_ns = self._clock_ns
        if passes.energy and reply.latency:
            charging = self._character is Character.CHARGING
            reply = replace(
                reply, energy=play_energy(script, passes.energy, reply.latency, began_ns, charging=charging)
            )
            self._clock_ns += passes.energy.settle_ns + passes.energy.idle_ns
        self._clock_ns += total_ns(reply.latency)
        self._heat_c += _HEAT_OF_LAUNCH_C
        reply = replace(reply, state=DeviceStates(before=before, after=self._state()))
        if self._character is not Character.OOM:
            return reply
        failure = Failure(kind=FailureKind.OOM, message="the phone ran out of memory while loading the model")
        return replace(reply, status=ReplyStatus.FAILED, failure=failure, load=None, latency=None, memory=None)

    def _script(self, request: RunRequest) -> Script:
        fallback, hot = self._character is Character.FALLBACK, self._character is Character.HOT
        return Script(
            request=request,
            artifact_bytes=sum(self._sizes[p.sha256] for p in request.artifact.files),
            delegate=Delegate.CPU if fallback else request.runtime.delegate,
            speed=_SPEED.get(self._character, 1.0) * (1 + _HOT_LAUNCH_GROWTH * (self._launches - 1) * hot),
            drift=_HOT_CALL_GROWTH * hot,
            late_growth=_WARM_GROWTH * (self._character is Character.WARM and self._launches == _WARM_LAUNCH),
        )

    def _runtime(self, script: Script) -> RuntimeReport:
        on_delegate = script.delegate is not Delegate.CPU
        return RuntimeReport(
            name="simulated",
            version=__version__,
            delegate_requested=script.request.runtime.delegate,
            delegate_used=script.delegate.value,
            threads=script.request.runtime.threads,
            nodes_total=40,
            nodes_delegated=40 if on_delegate else 0,
            partitions=1 if on_delegate else 0,
        )

    def _state(self) -> StateSample:
        low = self._character is Character.LOW_BATTERY
        return StateSample(
            at_ns=self._clock_ns,
            thermal_status="moderate" if self._temperature_c() >= 40 else "none",
            thermal_headroom=round(self._temperature_c() / _SEVERE_C, 2),
            temperatures_c={"battery": self._temperature_c()},
            cpu_khz=(2_400_000,) * (self._info.cores or 1),
            governor="schedutil",
            available_bytes=_MEMORY_BYTES // 2,
            battery_percent=12.0 if low else 80.0,
            charging=self._character is Character.CHARGING,
        )

    def _temperature_c(self) -> float:
        if self._character is not Character.HOT:
            return _COOL_C
        return min(_HOT_C, self._heat_c)

    def _check_present(self) -> None:
        if self._character is Character.LOST and self._launches >= _LAUNCHES_BEFORE_LOSS:
            msg = f"device {self._info.key!r} is gone, as its scripted cable came loose: run again with --resume"
            raise DeviceError(msg)
