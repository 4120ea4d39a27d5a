"""What a job asks a runner to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.wire.names import SCHEMA, Delegate, Format, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionRef:
    """Another file of an artifact, next to the request under this name, such as the weights of a large ``.onnx``."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedFile:
    """A file as it lies on the device: the digest of the ciphertext, and the file's key, wrapped, in Base64."""

    sha256: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """The files of an artifact, encrypted for one runner on one phone, in the order of `ArtifactRef.files`.

    ``recipient`` is the digest of the runner's public key; empty, without files, to ask the runner for that key.
    """

    recipient: str = ""
    files: tuple[EncryptedFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """The file to load, next to the request. The runner checks every ``sha256`` before it loads anything.

    ``signature`` is a Sigstore bundle as text, which a runner with a public key checks first; empty without one.
    ``encryption`` is None for files that lie on the device as they are; the digests here are always the plain files'.
    """

    file: str
    sha256: str
    format: Format
    companions: tuple[CompanionRef, ...] = ()
    signature: str = ""
    encryption: Encryption | None = None

    @property
    def files(self) -> tuple[CompanionRef, ...]:
        """Every file of the artifact, the one to load first."""
        return (CompanionRef(file=self.file, sha256=self.sha256), *self.companions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRequest:
    """What the runtime is asked for. What it did is in the reply."""

    delegate: Delegate
    threads: int
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsRef:
    """``count`` inputs in ``file``: input by input, tensor by tensor, C order, no padding.

    ``sha256`` is the digest of the file, empty if the host does not know it.
    """

    file: str
    count: int
    tensors: tuple[TensorSpec, ...]
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupPass:
    """Calls until both minima are met. They are timed and reported, but not part of the result."""

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

    With ``stride_ns`` above 0 every measured call is run and timed, but only some are kept: those that begin at least
    this long after the last one kept, together with their start times. Half an hour of a fast model would otherwise
    fill the memory.
    """

    warmup: WarmupPass
    measure: MeasurePass
    interval_ns: int = 0
    stride_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPass:
    """Does nothing for ``settle_ns`` and then, as the idle block, for ``idle_ns``, both before call 0.

    The load block is the measured calls of the latency pass, or of another pass that runs a model back to back.
    """

    idle_ns: int
    settle_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPass:
    """Reads memory between ``calls`` untimed calls, and again ``settle_ns`` after the model is released."""

    calls: int
    settle_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsPass:
    """Runs inputs ``0 … count - 1`` once each and writes their outputs."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePass:
    """Times each operator over ``calls`` calls, if the runtime can."""

    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratePass:
    """Lets a language model generate ``new_tokens`` tokens after the first ``prompt_tokens`` tokens of the inputs.

    One generation is one call: the warm-up and the measured calls follow the rules of the latency pass. Decoding is
    greedy, and a token that ends the text does not end the call where the runtime allows that.

    ``prompt_text`` has as many tokens, and ``tokenizer`` names the companion of the artifact that makes them of it. A
    runner whose runtime takes text uses both; others ignore them. Empty where there is none.
    """

    prompt_tokens: int
    new_tokens: int
    warmup: WarmupPass
    measure: MeasurePass
    prompt_text: str = ""
    tokenizer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePass:
    """Feeds the inputs ``0 … count - 1`` to a language model and writes how likely it finds each of their tokens."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The passes to run, in this order and in one process. The last two are for language models."""

    latency: LatencyPass | None = None
    memory: MemoryPass | None = None
    outputs: OutputsPass | None = None
    profile: ProfilePass | None = None
    energy: EnergyPass | None = None
    generate: GeneratePass | None = None
    score: ScorePass | None = None


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
