"""From a spec to cells: every (artifact, delegate, threads, device) that will run, and every hole with its reason.

Nothing is loaded and nothing is built here, so that a whole plan can be checked and printed before any work.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.model.card import ModelCard, SourceKind
from harness.spec.phone_settings import PhoneRunner, PhoneSettings
from harness.spec.profiles import ProfileName
from harness.spec.recipe import AS_IS, Recipe
from harness.spec.spec import Spec
from harness.support import Backend, why_not_build
from harness.wire import Delegate, Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One artifact wanted; ``backend`` is set for ``pte`` alone."""

    model: str
    variant: str
    format: Format
    backend: Backend | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The unit of work, of resume and of comparison; ``key`` is made by `make_cell` and never parsed."""

    key: str
    model: str
    variant: str
    format: Format
    backend: Backend | None
    delegate: Delegate
    threads: int
    device: str
    profile: ProfileName

    @property
    def build(self) -> Build:
        """The artifact that this cell runs."""
        return Build(model=self.model, variant=self.variant, format=self.format, backend=self.backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A cell that cannot be, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All cells of a run in the order they run, and the holes."""

    cells: tuple[Cell, ...]
    holes: tuple[Hole, ...]

    @property
    def builds(self) -> tuple[Build, ...]:
        """Each artifact that the cells need, once, in order."""
        return tuple(dict.fromkeys(cell.build for cell in self.cells))


# The delegates of each format, the usual one first. A .pte fixes its backend at export.
DELEGATES: dict[Format, tuple[Delegate, ...]] = {
    Format.PTE: (Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.COREML),
    Format.TFLITE: (Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.NNAPI, Delegate.COREML),
    Format.ONNX: (Delegate.CPU, Delegate.XNNPACK, Delegate.NNAPI, Delegate.COREML),
    Format.PTL: (Delegate.CPU,),
    Format.MLPACKAGE: (Delegate.COREML,),
}

PTE_BACKENDS: dict[Delegate, Backend] = {
    Delegate.XNNPACK: Backend.XNNPACK,
    Delegate.CPU: Backend.PORTABLE,
    Delegate.GPU: Backend.VULKAN,
    Delegate.COREML: Backend.COREML,
}

# What each kind of device can run on; a kind that is not listed says so itself when it is opened.
DEVICE_DELEGATES: dict[str, tuple[Delegate, ...]] = {
    "host": (Delegate.CPU, Delegate.XNNPACK),
    "fake": (Delegate.CPU, Delegate.XNNPACK, Delegate.GPU),
    "android": (Delegate.CPU, Delegate.XNNPACK, Delegate.GPU, Delegate.NNAPI),
}


def make_plan(spec: Spec, models: tuple[ModelCard, ...], *, to_run: bool = True) -> Plan:
    """Cross everything the spec asks for. Raises `UsageError` when two models share a name.

    ``to_run`` is False where artifacts are only built: what the device cannot run is no hole then.
    """
    _check_names(models)
    recipes, settings = spec.recipes(), spec.settings
    cells: list[Cell] = []
    holes: list[Hole] = []
    for device in spec.device:
        for model in models:
            for format_, variant in _artifacts(spec, model):
                for delegate in spec.delegate or DELEGATES[format_][:1]:
                    for threads in spec.threads:
                        cell = make_cell(model.name, variant, format_, delegate, threads, device, spec.profile)
                        reason = why_not_source(model, cell, recipes.get(variant))
                        reason = reason or why_not(cell, recipes.get(variant), to_run=to_run)
                        reason = reason or (why_not_shell(cell, settings) if to_run else None)
                        if reason is None:
                            cells.append(cell)
                        else:
                            holes.append(Hole(cell=cell, reason=reason))
    return Plan(cells=tuple(cells), holes=tuple(holes))


def make_cell(
    model: str, variant: str, format_: Format, delegate: Delegate, threads: int, device: str, profile: ProfileName
) -> Cell:
    """Build a cell and its key, the only place where a key is made."""
    backend = _backend(format_, delegate)
    parts = (model, variant, format_.value, delegate.value, f"t{threads}", device.replace(":", "-"), profile.value)
    return Cell(
        key="-".join(parts),
        model=model,
        variant=variant,
        format=format_,
        backend=backend,
        delegate=delegate,
        threads=threads,
        device=device,
        profile=profile,
    )


def why_not(cell: Cell, recipe: Recipe | None = None, *, to_run: bool = True) -> str | None:
    """Return why ``cell`` cannot be, or None when it can be tried; ``recipe`` is None for a ready-made file."""
    if cell.delegate not in DELEGATES[cell.format]:
        allowed = ", ".join(d.value for d in DELEGATES[cell.format])
        return f"{cell.format.value} has no delegate {cell.delegate.value!r} (it has: {allowed})"
    hole = why_not_build(recipe, cell.format, cell.backend) if recipe else None
    if hole is not None:
        return hole
    kind = cell.device.partition(":")[0]
    offered = DEVICE_DELEGATES.get(kind) if to_run else None
    if offered is not None and cell.delegate not in offered:
        return f"device {kind!r} has no {cell.delegate.value} (it has: {', '.join(d.value for d in offered)})"
    return None


def why_not_shell(cell: Cell, settings: PhoneSettings) -> str | None:
    """Return why the shell runner cannot run ``cell``, or None when it can, or is not asked for."""
    if settings.runner is not PhoneRunner.SHELL or settings.binary(cell.format):
        return None
    given = ", ".join(binary.format.value for binary in settings.binaries)
    return f"runner 'shell' was given no program for {cell.format.value} (it has one for: {given})"


def why_not_source(model: ModelCard, cell: Cell, recipe: Recipe | None) -> str | None:
    """Return why an artifact cannot be made of what ``model`` came as, or None when it can be tried."""
    if model.kind is not SourceKind.KERAS:
        return None
    if cell.format is not Format.TFLITE:
        return f"a Keras model or SavedModel becomes tflite alone: {cell.format.value} is made of PyTorch networks"
    if recipe is not None and recipe.steps:
        return "graph steps change PyTorch networks, and this is a Keras model or SavedModel"
    if recipe is not None and recipe.channel_last:
        return "a Keras model takes its inputs as it was built, with their channels last as a rule: leave out nhwc"
    return None


def _backend(format_: Format, delegate: Delegate) -> Backend | None:
    return PTE_BACKENDS.get(delegate) if format_ is Format.PTE else None


def _artifacts(spec: Spec, model: ModelCard) -> list[tuple[Format, str]]:
    """The (format, variant) pairs of one model; a ready-made file has just its own."""
    if model.ready is not None:
        return [(model.ready, AS_IS)]
    return [(format_, variant) for format_ in spec.format for variant in spec.variant]


def _check_names(models: tuple[ModelCard, ...]) -> None:
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            msg = f"two models are named {model.name!r}: rename one in its model.toml"
            raise UsageError(msg)
        seen.add(model.name)
