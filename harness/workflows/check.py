"""Resolves everything a spec names, before any model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.artifacts.build import BuildOrder
from harness.devices.registry import DEVICE_KINDS, delegates_of, expand_devices, kind_of
from harness.errors import UsageError
from harness.model.card import ModelCard, ModelOptions
from harness.model.read_parts import with_parts
from harness.model.resolve import resolve
from harness.plan.cells import Build, Plan
from harness.plan.plan import make_plan
from harness.spec.phone_settings import PhoneSettings, check_binaries
from harness.spec.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A spec with its models found and its plan made: all that can be known without loading anything."""

    spec: Spec
    cards: tuple[ModelCard, ...]
    plan: Plan


def check(spec: Spec, *, to_run: bool = True) -> Checked:
    """Resolve every name of ``spec`` and make the plan, to run or just to build. Raises `UsageError`, `DeviceError`.

    To run, what stands for the phones that are there (``android:all``) becomes a device each.
    """
    for device in spec.device:
        _check_settings(device, spec.settings)
    if to_run:
        check_binaries(spec.settings)
        spec = replace(spec, device=expand_devices(spec.device))
    options = ModelOptions(random_weights=spec.random_weights, inputs=spec.input, data=spec.data, seed=spec.seed)
    cards = tuple(resolve(reference, options) for reference in spec.model)
    if spec.parts:
        cards = _with_parts(cards)
    return Checked(spec=spec, cards=cards, plan=make_plan(spec, cards, delegates_of if to_run else None))


def _check_settings(device: str, settings: PhoneSettings) -> None:
    """Raise `UsageError` when a setting was changed that the kind of ``device`` does not have."""
    foreign = [name for name in settings.changed() if name not in kind_of(device).settings]
    if foreign:
        kinds = [kind.name for kind in DEVICE_KINDS.values() if kind.settings.issuperset(foreign)]
        msg = (
            f"device {device!r} has no setting {', '.join(foreign)}; leave it out, "
            f"or run on devices that have it: {', '.join(kinds)}"
        )
        raise UsageError(msg)


def _with_parts(cards: tuple[ModelCard, ...]) -> tuple[ModelCard, ...]:
    """Return each card followed by those of its parts, which may have been named as well."""
    if not any(card.parts for card in cards):
        msg = f"parts is asked for, and no model has any ({', '.join(c.name for c in cards)}): leave it out"
        raise UsageError(msg)
    found = {card.name: card for whole in cards for card in with_parts(whole)}
    return tuple(found.values())


def order_of(checked: Checked, builds: tuple[Build, ...]) -> BuildOrder:
    """Return ``builds`` with the models and recipes that they need."""
    return BuildOrder(cards=checked.cards, builds=builds, recipes=checked.spec.recipes())
