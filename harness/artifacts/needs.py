"""Which packages an artifact takes, by what it is made of: the network, the format, and the backend."""

from __future__ import annotations

from harness.model.card import ModelCard, SourceKind
from harness.plan.cells import Build
from harness.plan.formats import (
    BACKEND_EXTRAS,
    BACKEND_PACKAGES,
    EXTRAS,
    KERAS_EXTRA,
    KERAS_PACKAGES,
    PACKAGES,
    RUNTIME_EXTRAS,
    RUNTIME_PACKAGES,
    TENSORFLOWS,
)
from harness.system.packages import missing_packages


def packages_of(card: ModelCard, build: Build) -> tuple[str, ...]:
    """Return the distributions whose code takes part in making ``build``, or in verifying a ready-made file."""
    if card.kind is SourceKind.READY:
        return RUNTIME_PACKAGES[build.format]
    if card.kind is SourceKind.KERAS:
        return (_tensorflow(), *KERAS_PACKAGES)
    return PACKAGES[build.format] + (BACKEND_PACKAGES.get(build.backend, ()) if build.backend else ())


def why_missing(card: ModelCard, build: Build) -> str | None:
    """Return the sentence with the command that installs what ``build`` lacks, or None when everything is there."""
    missing = missing_packages(packages_of(card, build))
    if not missing:
        return None
    return f"{build.format.value} needs {', '.join(missing)}; run: pip install 'phonebench[{_extra(card, build)}]'"


def _extra(card: ModelCard, build: Build) -> str:
    if card.kind is SourceKind.READY:
        return RUNTIME_EXTRAS[build.format]
    if card.kind is SourceKind.KERAS:
        return KERAS_EXTRA
    return BACKEND_EXTRAS.get(build.backend, EXTRAS[build.format]) if build.backend else EXTRAS[build.format]


def _tensorflow() -> str:
    """The distribution of TensorFlow that is installed, the one for the CPU alone where none is."""
    return next((name for name in TENSORFLOWS if not missing_packages((name,))), TENSORFLOWS[0])
