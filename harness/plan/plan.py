"""From a spec to cells: every (artifact, delegate, threads, device) that will run, and every hole with its reason.

Nothing is loaded or built here, so a whole plan can be checked and printed before any work starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.errors import UsageError
from harness.model.card import ModelCard, SourceKind
from harness.model.language import why_too_long
from harness.plan.cells import Cell, Hole, Lengths, Plan, make_cell
from harness.plan.support import why_not_build
from harness.spec.formats import FORMATS, default_formats, language_formats
from harness.spec.phone_settings import Binary, PhoneRunner, PhoneSettings
from harness.spec.recipe import AS_IS, Recipe
from harness.spec.shorthand import DEFAULT_VARIANTS, LANGUAGE_VARIANTS, recipes_of
from harness.spec.spec import Spec
from harness.wire import Delegate, Format


def _any_language(format_: Format) -> bool:  # noqa: ARG001  of every format
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a device can run on: its delegates for any format.

    ``formats`` is set where the runtimes there differ from the usual ones: the delegates of each format, or why there
    is no runtime for it. ``language``: whether its runner runs language models of a format.
    """

    delegates: tuple[Delegate, ...]
    formats: Mapping[Format, tuple[Delegate, ...] | str] | None = None
    language: Callable[[Format], bool] = _any_language


# Returns what the device with this key offers.
OfferOf = Callable[[str], Offer]


def make_plan(spec: Spec, models: tuple[ModelCard, ...], offer_of: OfferOf | None) -> Plan:
    """Return every combination that the spec asks for. Raises `UsageError` if two models have the same name.

    ``offer_of`` is None when artifacts are only built. What a device cannot run is then not a hole.
    """
    _check_names(models)
    recipes, settings = spec.recipes(), spec.settings
    cells: list[Cell] = []
    holes: list[Hole] = []
    for device in spec.device:
        for model in models:
            for cell in _cells(spec, model, device):
                recipe = recipes.get(cell.variant)
                # Only the first reason is shown, so the most general check comes first.
                reason = why_not_model(model, cell, recipe)
                in_shell = offer_of is not None and runs_in_shell(cell, settings)
                reason = reason or why_not(cell, recipe, offer_of, language=model.language is not None and not in_shell)
                in_app = model.language is not None and not in_shell
                reason = reason or (why_not_shell(cell, settings, language=in_app) if offer_of else None)
                if reason is None:
                    cells.append(cell)
                else:
                    holes.append(Hole(cell=cell, reason=reason))
    return Plan(cells=tuple(cells), holes=tuple(holes))


def _cells(spec: Spec, model: ModelCard, device: str) -> Iterator[Cell]:
    """Every combination for one model on one device; a language model has those of each length of prompt."""
    lengths: tuple[Lengths | None, ...] = (None,)
    if model.language is not None:
        lengths = tuple(Lengths(prompt_tokens=length, new_tokens=spec.new_tokens) for length in spec.prompt)
    for format_, variant in _artifacts(spec, model):
        for delegate in spec.delegate or FORMATS[format_].delegates[:1]:
            for threads in spec.threads:
                for of_cell in lengths:
                    yield make_cell(model.name, variant, format_, delegate, threads, device, spec.profile, of_cell)


def why_not_model(model: ModelCard, cell: Cell, recipe: Recipe | None) -> str | None:
    """Return why a model of this kind cannot become the format of ``cell``, on any device; None if it can be tried."""
    return (
        FORMATS[cell.format].not_supported
        or why_not_source(model, cell, recipe)
        or why_not_language(model, cell, recipe)
    )


def why_not_language(model: ModelCard, cell: Cell, recipe: Recipe | None) -> str | None:
    """Return why a language model and the format or the lengths of ``cell`` do not go together, None if they do."""
    row, facts = FORMATS[cell.format], model.language
    if facts is None:
        return f"{cell.format.value} holds language models only" if row.only_language else None
    if row.language is None:
        names = ", ".join(format_.value for format_, its in FORMATS.items() if its.language is not None)
        return f"phonebench does not build language models as {cell.format.value} (it does as: {names})"
    if recipe is not None and (recipe.steps or recipe.channel_last or not recipe.float_io):
        return "a language model takes a precision only: graph steps and options of inputs are for other networks"
    if recipe is not None and recipe.precision not in row.language.precisions:
        names = ", ".join(precision.value for precision in row.language.precisions)
        return f"{cell.format.value} of a language model is not built as {recipe.precision.value} (it is as: {names})"
    if cell.lengths is None:
        return None
    return why_too_long(model.name, facts, cell.lengths.prompt_tokens, cell.lengths.new_tokens)


def why_not(cell: Cell, recipe: Recipe | None, offer_of: OfferOf | None, *, language: bool = False) -> str | None:
    """Return why ``cell`` cannot be run, or None if it can be tried. ``recipe`` is None for a ready-made file.

    ``language``: it is a language model, whose formats have precisions of their own.
    """
    offer = offer_of(cell.device) if offer_of else None
    if language and offer is not None and not offer.language(cell.format):
        return _no_language(cell, offer)
    delegates = FORMATS[cell.format].delegates
    if offer is not None and offer.formats is not None:
        own = offer.formats.get(cell.format, "there is no runtime for it")
        if isinstance(own, str):
            return f"device {cell.device!r} does not run {cell.format.value}: {own}"
        delegates = own
    if cell.delegate not in delegates:
        allowed = ", ".join(delegate.value for delegate in delegates)
        place = f" on device {cell.device!r}" if offer is not None and offer.formats is not None else ""
        return f"{cell.format.value} has no delegate {cell.delegate.value!r}{place} (it has: {allowed})"
    hole = why_not_build(recipe, cell.format, cell.backend) if recipe and not language else None
    if hole is not None:
        return hole
    if offer is not None and cell.delegate not in offer.delegates:
        offered = ", ".join(delegate.value for delegate in offer.delegates)
        return f"device {cell.device!r} has no {cell.delegate.value} (it has: {offered})"
    return None


def _no_language(cell: Cell, offer: Offer) -> str:
    formats = [format_.value for format_, row in FORMATS.items() if row.language and offer.language(format_)]
    if not formats:
        return f"the runner of device {cell.device!r} does not run language models yet: run them on the host"
    return (
        f"the runner of device {cell.device!r} runs language models as {', '.join(formats)} only: choose that "
        "--format, or give a program by --runner shell --binary"
    )


def runs_in_shell(cell: Cell, settings: PhoneSettings) -> bool:
    """Return whether a program for language models was given for ``cell``, which then runs in a phone's shell."""
    binary = settings.binary(cell.format) if settings.runner is PhoneRunner.SHELL else None
    return binary is not None and (FORMATS[cell.format].only_language or _is_for_language(binary))


def _is_for_language(binary: Binary) -> bool:
    """Return whether it is the second program of a format that also holds other networks, by its name."""
    row = FORMATS[binary.format]
    return not row.only_language and row.other_program is not None and row.other_program in binary.path.name


def why_not_shell(cell: Cell, settings: PhoneSettings, *, language: bool = False) -> str | None:
    """Return why the shell runner cannot run ``cell``, or None if it can or is not used.

    ``language``: it is a language model that no program of the shell runs.
    """
    if settings.runner is not PhoneRunner.SHELL:
        return None
    binary, row = settings.binary(cell.format), FORMATS[cell.format]
    if binary is not None and language:
        other = f"give {row.other_program}, or " if row.other_program else ""
        return f"the program for {cell.format.value} runs no language models: {other}leave out --runner shell"
    if binary is not None and cell.lengths is None and _is_for_language(binary):
        return f"{row.other_program} runs language models only: give {row.shell_program}"
    if binary is not None:
        return None
    formats = ", ".join(binary.format.value for binary in settings.binaries)
    return f"runner 'shell' has no program for {cell.format.value}; it was given one for: {formats}"


def why_not_source(model: ModelCard, cell: Cell, recipe: Recipe | None) -> str | None:
    """Return why an artifact cannot be made from the kind of source that ``model`` has, or None if it can be tried."""
    if model.kind is not SourceKind.KERAS:
        return None
    if not FORMATS[cell.format].from_keras:
        formats = ", ".join(format_.value for format_, row in FORMATS.items() if row.from_keras)
        return f"a Keras model or SavedModel can only become {formats}; {cell.format.value} needs a PyTorch network"
    if recipe is not None and recipe.steps:
        return "graph steps work on PyTorch networks only, and this is a Keras model or SavedModel"
    if recipe is not None and recipe.channel_last:
        return "a Keras model keeps the input layout it was built with, usually channels last: remove nhwc"
    return None


def _artifacts(spec: Spec, model: ModelCard) -> list[tuple[Format, str]]:
    """The (format, variant) pairs of one model. A ready-made file has exactly one."""
    if model.ready is not None:
        return [(model.ready, AS_IS)]
    if model.language is None:
        return [(format_, variant) for format_ in spec.format for variant in spec.variant]
    # What is built when the user names nothing are formats and variants of other networks.
    formats = language_formats() if spec.format == default_formats() else spec.format
    if spec.variant != DEFAULT_VARIANTS:
        return [(format_, variant) for format_ in formats for variant in spec.variant]
    return [
        (format_, name)
        for format_ in formats
        for name, recipe in recipes_of(LANGUAGE_VARIANTS, ()).items()
        if (row := FORMATS[format_].language) is None or recipe.precision in row.precisions
    ]


def _check_names(models: tuple[ModelCard, ...]) -> None:
    names: set[str] = set()
    for model in models:
        if model.name in names:
            msg = f"two models are named {model.name!r}: rename one in its model.toml, or the file if it has none"
            raise UsageError(msg)
        names.add(model.name)
