"""Which packages an artifact takes, by what it is made of: the network, the format, and the backend."""

from __future__ import annotations

from harness.model.card import ModelCard, SourceKind
from harness.plan.cells import Build
from harness.spec.formats import BACKENDS, FORMATS, packages_to_build
from harness.system.packages import missing_packages

# One package with two distributions; either will do.
TENSORFLOWS = ("tensorflow-cpu", "tensorflow")
# What converting a Keras model needs in addition to TensorFlow, and the extras that install both.
KERAS_PACKAGES = ("ai-edge-litert",)
KERAS_EXTRAS = ("tflite", "tensorflow")


def packages_of(card: ModelCard, build: Build) -> tuple[str, ...]:
    """Return the distributions whose code takes part in making ``build``, or in verifying a ready-made file."""
    if card.kind is SourceKind.READY:
        return FORMATS[build.format].runtime_packages
    if card.kind is SourceKind.KERAS:
        return (_tensorflow(), *KERAS_PACKAGES)
    return packages_to_build(build.format, build.backend)


def why_missing(card: ModelCard, build: Build) -> str | None:
    """Return the sentence with the command that installs what ``build`` lacks, or None when everything is there."""
    missing = missing_packages(packages_of(card, build))
    if not missing:
        return None
    extras = ",".join(_extras(card, build))
    return f"{build.format.value} needs {', '.join(missing)}; run: pip install 'phonebench[{extras}]'"


def _extras(card: ModelCard, build: Build) -> tuple[str, ...]:
    if card.kind is SourceKind.READY:
        return FORMATS[build.format].runtime_extras
    if card.kind is SourceKind.KERAS:
        return KERAS_EXTRAS
    return (BACKENDS[build.backend].extras if build.backend else ()) or FORMATS[build.format].extras


def _tensorflow() -> str:
    """The distribution of TensorFlow that is installed, the one for the CPU alone where none is."""
    return next((name for name in TENSORFLOWS if not missing_packages((name,))), TENSORFLOWS[0])
