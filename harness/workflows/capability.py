"""Finds out what this computer can build and run, by sending a tiny network through every exporter and delegate.

A version number does not say which features a package was built with, so everything is tried. The result is cached
until a package changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from harness import __version__
from harness.artifacts.build import BuildOrder, BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import ArtifactState
from harness.devices.registry import offer_of, open_device
from harness.measure.cell import launch_once
from harness.measure.job import Job
from harness.model.card import ModelCard, ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build, Cell, make_cell
from harness.plan.plan import why_not
from harness.plan.support import why_not_build
from harness.progress import Progress
from harness.runners.host.vulkan import has_own_driver, software_driver
from harness.spec.formats import BACKENDS, FORMATS, own_formats
from harness.spec.profiles import PROFILES, ProfileName
from harness.spec.recipe import Precision
from harness.spec.shorthand import recipes_of
from harness.system.files import json_sha256
from harness.system.packages import versions_of
from harness.wire import Delegate, Format, ReplyStatus, RunReply
from harness.workflows.durations import probe_estimate

PROBE_MODEL = Path(__file__).parent / "probe_model"
PROBE_FILE = "capability.json"
# Every precision, and float16 a second time with float16 inputs and outputs.
VARIANTS = (*(precision.value for precision in Precision), "fp16-whole")


class Capability(StrEnum):
    """The result of trying."""

    WORKS = "works"
    UNSUPPORTED = "unsupported"
    BUILT = "built, not run here"
    BROKEN = "broken"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantCapability:
    """Whether a format can be built in a precision; ``detail`` is the fidelity, or the reason why not."""

    format: Format
    backend: str | None
    variant: str
    state: Capability
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateCapability:
    """Whether a format runs on a delegate; ``detail`` is the version of the runtime, or the reason why not."""

    format: Format
    delegate: Delegate
    device: str
    state: Capability
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What ``phonebench formats`` shows."""

    schema: int = 1
    variants: tuple[VariantCapability, ...]
    delegates: tuple[DelegateCapability, ...]


def probe(cache: Cache, progress: Progress, *, say: Callable[[str], None] = lambda _: None) -> Capabilities:
    """Return what works, from the cache if the same packages were tried before and nothing failed.

    Before anything is built, ``say`` gets a sentence about how long it takes. Raises `StoreError`.
    """
    key = _environment_key()
    cached = cache.entry("prepared", key, _read)
    if cached is not None:
        return cached
    card = resolve(str(PROBE_MODEL), ModelOptions())
    builds = [
        Build(model=card.name, variant=variant, format=format_, backend=backend)
        for format_, row in own_formats().items()
        # The probe is a small network of another kind.
        if not row.only_language
        for backend in (tuple(row.backends.values()) or (None,))
        for variant in VARIANTS
    ]
    recipes = recipes_of(VARIANTS, ())
    holes = {b: reason for b in builds if (reason := why_not_build(recipes[b.variant], b.format, b.backend))}
    buildable = [build for build in builds if build not in holes]
    say(probe_estimate(len(buildable)))
    outcome = build_artifacts(BuildOrder(cards=[card], builds=buildable, recipes=recipes), cache, progress)
    table = Capabilities(
        variants=tuple(_variant(build, outcome, holes.get(build)) for build in builds),
        delegates=_delegates(card, outcome),
    )
    # A failure may be due to a lack of memory or time, so the next call tries again.
    states = [c.state for c in table.variants] + [c.state for c in table.delegates]
    if Capability.FAILED not in states:
        with cache.making("prepared", key) as folder:
            (folder / PROBE_FILE).write_bytes(msgspec.json.encode(table))
    return table


def _environment_key() -> str:
    groups = [*(row.packages for row in FORMATS.values()), *(row.packages for row in BACKENDS.values())]
    packages = tuple(dict.fromkeys(name for names in groups for name in names))
    revisions = {format_: row.revision for format_, row in FORMATS.items()}
    drivers = [str(software_driver()), has_own_driver(os.environ, home=Path.home())]
    parts = [versions_of(packages), revisions, __version__, list(VARIANTS), drivers, "capability 4"]
    return json_sha256(parts)


def _read(folder: Path) -> Capabilities:
    try:
        return msgspec.json.decode((folder / PROBE_FILE).read_bytes(), type=Capabilities)
    except msgspec.DecodeError as error:
        msg = f"{PROBE_FILE} cannot be read: {error}"
        raise ValueError(msg) from error


# The capability that each state of an artifact shows.
STATES: dict[ArtifactState, Capability] = {
    ArtifactState.READY: Capability.WORKS,
    ArtifactState.UNVERIFIED: Capability.BUILT,
    ArtifactState.BROKEN: Capability.BROKEN,
    ArtifactState.UNSUPPORTED: Capability.UNSUPPORTED,
    ArtifactState.FAILED: Capability.FAILED,
}


def _variant(build: Build, outcome: BuildOutcome, hole: str | None) -> VariantCapability:
    state, detail = Capability.UNSUPPORTED, hole
    if hole is None:
        manifest = outcome.artifacts[build].manifest
        fidelity = f"{manifest.sqnr_db:.0f} dB against float" if manifest.sqnr_db is not None else ""
        state, detail = STATES[manifest.state], manifest.reason or manifest.checked or fidelity
    return VariantCapability(
        format=build.format,
        backend=build.backend.value if build.backend else None,
        variant=build.variant,
        state=state,
        detail=detail or "",
    )


def _delegates(card: ModelCard, outcome: BuildOutcome) -> tuple[DelegateCapability, ...]:
    cells = [
        make_cell(card.name, Precision.FP32.value, format_, delegate, 1, "host", ProfileName.QUICK)
        for format_, row in FORMATS.items()
        # The probe has no tokens.
        if not row.only_language
        for delegate in row.delegates
    ]
    return tuple(_delegate(cell, card, outcome) for cell in cells)


def _delegate(cell: Cell, card: ModelCard, outcome: BuildOutcome) -> DelegateCapability:
    """Run the float artifact once on the delegate."""
    state, detail = Capability.UNSUPPORTED, why_not(cell, None, offer_of)
    artifact = outcome.artifacts[cell.build]
    if artifact.manifest.state is ArtifactState.UNVERIFIED:
        state = Capability.BUILT
    elif detail is None and artifact.path is None:
        state, detail = STATES[artifact.manifest.state], artifact.manifest.reason
    elif detail is None:
        job = Job(
            cell=cell,
            card=card,
            artifact=artifact,
            model=outcome.models[card.name],
            profile=PROFILES[ProfileName.QUICK],
        )
        with open_device(cell.device) as device:
            reply = launch_once(job, device)
        state = {
            ReplyStatus.OK: Capability.WORKS,
            ReplyStatus.UNSUPPORTED: Capability.UNSUPPORTED,
            ReplyStatus.FAILED: Capability.FAILED,
        }[reply.status]
        detail = reply.failure.message if reply.failure else _runtime_words(reply)
    return DelegateCapability(
        format=cell.format, delegate=cell.delegate, device=cell.device, state=state, detail=detail or ""
    )


def _runtime_words(reply: RunReply) -> str:
    """The runtime, and what it computes on where that is no processor or only seems so."""
    runtime = reply.runtime
    if runtime is None:
        return ""
    words = f"{runtime.name} {runtime.version}"
    if runtime.accelerator is None:
        return words
    note = ", which computes on the processor" if runtime.accelerator.software else ""
    return f"{words} on {runtime.accelerator.name}{note}"
