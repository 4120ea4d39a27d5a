"""Resolves everything a spec names, before any model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.artifacts.build import BuildOrder
from harness.artifacts.needs import Missing, missing_for, together
from harness.devices.encryption import require_cryptography
from harness.devices.registry import DEVICE_KINDS, expand_devices, kind_of_key, offer_of
from harness.errors import UsageError
from harness.model.card import ModelCard, ModelOptions
from harness.model.read_parts import with_parts
from harness.model.ready import why_not_ready
from harness.model.resolve import resolve_all
from harness.plan.cells import Build, Hole, Plan
from harness.plan.plan import make_plan
from harness.signing.bundle import Verified
from harness.spec.phone_settings import SOURCES, PhoneSettings, check_binaries, check_ipa, check_wheels
from harness.spec.recipe import Recipe
from harness.spec.spec import Spec
from harness.workflows.signatures import verify_models

# Returns the devices that device keys stand for.
Expand = Callable[[tuple[str, ...]], tuple[str, ...]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A spec with its models resolved and its plan made: all that can be known without loading anything.

    ``verified``: what was signed, by model, if the spec requires signatures.
    """

    spec: Spec
    cards: tuple[ModelCard, ...]
    plan: Plan
    verified: Mapping[str, Verified] = field(default_factory=dict)


def check(spec: Spec, *, to_run: bool = True, expand: Expand = expand_devices) -> Checked:
    """Resolve every name in ``spec`` and make the plan, to run or only to build.

    Raises `UsageError`, `DeviceError`, and `SignatureError` if ``spec`` requires signatures.

    To run, a key that stands for all connected phones (``android:all``) becomes one device per phone. A cell whose
    packages are not installed becomes a hole, and the packages are logged with the command that installs them.
    ``expand`` finds the devices that keys stand for, by default those of this computer.
    """
    _check_settings(spec.device, spec.settings)
    if to_run:
        check_binaries(spec.settings)
        check_wheels(spec.settings)
        check_ipa(spec.settings)
        if spec.encrypt:
            require_cryptography()
        spec = replace(spec, device=expand(spec.device))
    options = ModelOptions(random_weights=spec.random_weights, inputs=spec.input, data=spec.data, seed=spec.seed)
    cards = resolve_all(spec.model, options)
    # Before anything else reads the files.
    verified = verify_models(cards, spec)
    if spec.parts:
        cards = _with_parts(cards)
    unsupported = _unsupported(cards)
    plan = make_plan(spec, cards, offer_of if to_run else None)
    missing = _missing_packages(plan, cards, spec.recipes())
    if every := together(missing.values()):
        log.warning("%s", _all_of(every))
    if to_run:
        reasons = {build: why.sentence() for build, why in missing.items()}
        reasons |= {build: unsupported[build.model] for build in plan.builds if build.model in unsupported}
        plan = _without(plan, reasons)
    return Checked(spec=spec, cards=cards, plan=plan, verified=verified)


def _unsupported(cards: tuple[ModelCard, ...]) -> dict[str, str]:
    """Return why a ready-made file cannot be run, by model, as far as its header shows it.

    Raises `UsageError` for a file that lacks the size of an input or a file with weights.
    """
    reasons = {card.name: why_not_ready(card) for card in cards if card.ready is not None}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _missing_packages(plan: Plan, cards: tuple[ModelCard, ...], recipes: Mapping[str, Recipe]) -> dict[Build, Missing]:
    """Return what is not installed, for each build of ``plan`` that needs it."""
    by_name = {card.name: card for card in cards}
    missing: dict[Build, Missing] = {}
    for build in plan.builds:
        card = by_name[build.model]
        packages = missing_for(card, build, recipes[build.variant].steps if card.ready is None else ())
        if packages is not None:
            missing[build] = packages
    return missing


def _without(plan: Plan, reasons: Mapping[Build, str]) -> Plan:
    """Return ``plan`` with a hole in place of each cell whose build has one of ``reasons`` against it."""
    cells = tuple(cell for cell in plan.cells if cell.build not in reasons)
    lacking = (cell for cell in plan.cells if cell.build in reasons)
    holes = tuple(Hole(cell=cell, reason=reasons[cell.build]) for cell in lacking)
    return Plan(cells=cells, holes=(*plan.holes, *holes))


def _all_of(missing: Missing) -> str:
    """One sentence about all packages: what each is for, and the command that installs them."""
    packages = ", ".join(f"{package} ({user})" for package, user in missing.needed_by.items())
    return f"not installed: {packages}; to install: {missing.command}. What needs them is left out."


def only_on(devices: tuple[str, ...], spec: Spec) -> Spec:
    """Return ``spec`` for some of its devices, without the runners that were given for the others."""
    foreign: dict[str, Any] = dict.fromkeys(SOURCES - _offered(devices))
    return replace(spec, device=devices, **foreign)


def _offered(devices: tuple[str, ...]) -> set[str]:
    """The settings that at least one of the devices has."""
    return {name for device in devices for name in kind_of_key(device).settings}


def _check_settings(devices: tuple[str, ...], settings: PhoneSettings) -> None:
    """Raise `UsageError` when a setting was changed that a device's kind does not have.

    A setting that says where a runner comes from is for the devices that have it; the others do not mind.
    """
    offered = _offered(devices)
    changed = [name for name in settings.changed() if name not in SOURCES or name not in offered]
    for device in devices:
        foreign = [name for name in changed if name not in kind_of_key(device).settings]
        if not foreign:
            continue
        kinds = [kind.name for kind in DEVICE_KINDS.values() if kind.settings.issuperset(foreign)]
        msg = (
            f"device {device!r} has no setting {', '.join(foreign)}; leave it out, "
            f"or run on devices that have it: {', '.join(kinds)}"
        )
        raise UsageError(msg)


def _with_parts(cards: tuple[ModelCard, ...]) -> tuple[ModelCard, ...]:
    """Return each card followed by the cards of its parts, each once: a part may be named beside its whole."""
    if not any(card.parts for card in cards):
        msg = f"parts is set, but no model has parts ({', '.join(c.name for c in cards)}): leave it out"
        raise UsageError(msg)
    by_name = {card.name: card for whole in cards for card in with_parts(whole)}
    return tuple(by_name.values())


def order_of(checked: Checked, builds: tuple[Build, ...]) -> BuildOrder:
    """Return ``builds`` with the models and recipes they need."""
    return BuildOrder(cards=checked.cards, builds=builds, recipes=checked.spec.recipes())
