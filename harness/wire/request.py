"""What a job asks of a runner."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.wire.names import SCHEMA, Delegate, Format, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionRef:
    """A further file of an artifact, beside the request under this name, such as the weights of a large ``.onnx``."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """The file to load, beside the request; the runner checks every ``sha256`` before it loads."""

    file: str
    sha256: str
    format: Format
    companions: tuple[CompanionRef, ...] = ()

    @property
    def files(self) -> tuple[CompanionRef, ...]:
        """Every file of the artifact, the one to load first."""
        return (CompanionRef(file=self.file, sha256=self.sha256), *self.companions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRequest:
    """What the runtime is asked for; what it did stands in the reply."""

    delegate: Delegate
    threads: int
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsRef:
    """``count`` inputs in ``file``: input by input, tensor by tensor, C order, no padding."""

    file: str
    count: int
    tensors: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupPass:
    """Untimed in effect: calls until both minima are met."""

    min_calls: int
    min_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePass:
    """Calls until both minima are met, or until ``max_ns`` has passed."""

    min_calls: int
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPass:
    """Times single calls on input 0, one after the other, ``interval_ns`` apart.

    With ``stride_ns`` over 0 every measured call is run and timed, but only one that begins at least so long after the
    one kept before it is kept, together with when it began: a half hour of a fast model would fill the memory.
    """

    warmup: WarmupPass
    measure: MeasurePass
    interval_ns: int = 0
    stride_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPass:
    """Reads memory between ``calls`` untimed calls, and ``settle_ns`` after the model is released."""

    calls: int
    settle_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsPass:
    """Runs inputs ``0 … count - 1`` once each and writes their outputs."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePass:
    """Per-operator times of ``calls`` calls, where the runtime can."""

    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The passes wanted, run in this order in one process."""

    latency: LatencyPass | None = None
    memory: MemoryPass | None = None
    outputs: OutputsPass | None = None
    profile: ProfilePass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One launch of the runner on one cell."""

    schema: int = SCHEMA
    cell: str
    launch: int
    artifact: ArtifactRef
    runtime: RuntimeRequest
    inputs: InputsRef
    passes: Passes
