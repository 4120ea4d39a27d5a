"""Recognises a name that was given to the wrong option, such as the variant ``int8`` after ``--format``."""

from __future__ import annotations

from harness.errors import PhonebenchError, UnknownNameError

# What an option calls its names, by the kind that an `UnknownNameError` has.
_OPTIONS = {
    "format": "format",
    "delegate": "delegate",
    "profile": "profile",
    "variant": "variant",
    "device kind": "device",
    "model": "model",
}


def explain(error: UnknownNameError) -> str:
    """Return the message of ``error``; if its name belongs to another option, say which and what to write."""
    own = _OPTIONS.get(error.kind)
    other = _option_of(error.name) if own else None
    if own is None or other is None or other == own:
        return str(error)
    mistake = f"{error.name!r} is a {other}, not a {own}"
    if ".toml" in error.where:
        return f"{mistake}, in {error.where}; write: {other} = {_quoted(error.name)}"
    if error.kind != "device kind" and error.where:
        return f"{mistake}, in {error.where}; a side is MODEL:VARIANT:FORMAT"
    return f"{mistake}; write: {error.name if other == 'model' else f'--{other} {error.name}'}"


def _option_of(name: str) -> str | None:
    """Return the option that takes ``name``, None if none does."""
    from harness.devices.registry import kind_of
    from harness.model.resolve import bundled_models
    from harness.spec.profiles import ProfileName
    from harness.spec.shorthand import parse_recipe
    from harness.wire import Delegate, Format

    for option, names in (("format", Format), ("delegate", Delegate), ("profile", ProfileName)):
        if name in {member.value for member in names}:
            return option
    if name in bundled_models():
        return "model"
    for option, read in (("variant", parse_recipe), ("device", kind_of)):
        try:
            read(name)
        except PhonebenchError:
            continue
        return option
    return None


def _quoted(name: str) -> str:
    return f'"{name}"'
