"""The packages that an artifact needs, depending on the source of the network, the format and the backend."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.model.card import ModelCard, SourceKind
from harness.plan.cells import Build
from harness.spec.formats import BACKENDS, FORMATS, packages_to_build
from harness.spec.recipe import STEP_EXTRA, Step, step_name, step_packages
from harness.system.packages import missing_packages

# One package with two distributions; either will do. The first is built for Linux on x86-64 only.
TENSORFLOWS = ("tensorflow-cpu", "tensorflow")
# What converting a Keras model needs in addition to TensorFlow, and the extras that install both.
KERAS_PACKAGES = ("ai-edge-litert",)
KERAS_EXTRAS = ("tflite", "tensorflow")


def packages_of(card: ModelCard, build: Build) -> tuple[str, ...]:
    """Return the distributions that take part in making ``build``, or in verifying a ready-made file."""
    if card.kind is SourceKind.READY:
        return FORMATS[build.format].runtime_packages
    if card.kind is SourceKind.KERAS:
        return (tensorflow_distribution(), *KERAS_PACKAGES)
    language = FORMATS[build.format].language
    if card.language is not None and language is not None:
        # The runtime is needed too: a file is verified by running it.
        return tuple(dict.fromkeys((*language.packages, *language.runtime_packages)))
    return packages_to_build(build.format, build.backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Packages that are not installed: for each the format or step that needs it, and the extras that install them."""

    needed_by: dict[str, str]
    extras: tuple[str, ...]

    @property
    def command(self) -> str:
        """The one command that installs all of them."""
        return f"pip install 'phonebench[{','.join(self.extras)}]'"

    def sentence(self) -> str:
        """Return what needs which packages, and the command."""
        users = " and ".join(dict.fromkeys(self.needed_by.values()))
        verb = "need" if " and " in users else "needs"
        return f"{users} {verb} {', '.join(self.needed_by)}; run: {self.command}"


def missing_for(card: ModelCard, build: Build, steps: Sequence[Step] = ()) -> Missing | None:
    """Return the packages that ``build`` and its graph steps need but that are not installed, or None."""
    of_format = missing_packages(packages_of(card, build))
    needed_by = dict.fromkeys(of_format, build.format.value)
    extras = list(_extras(card, build)) if of_format else []
    for step in steps:
        of_step = missing_packages(step_packages((step,), has_student=card.student is not None))
        needed_by |= {package: step_name(step) for package in of_step if package not in needed_by}
        extras += [STEP_EXTRA] if of_step else []
    if not needed_by:
        return None
    return Missing(needed_by=needed_by, extras=tuple(dict.fromkeys(extras)))


def together(missing: Iterable[Missing]) -> Missing | None:
    """Return all of ``missing`` in one record, or None if there are none."""
    records = tuple(missing)
    if not records:
        return None
    # Reversed, so that a package that several need keeps the one that comes first.
    needed_by = {package: user for record in reversed(records) for package, user in record.needed_by.items()}
    extras = dict.fromkeys(extra for record in records for extra in record.extras)
    return Missing(needed_by=needed_by, extras=tuple(extras))


def why_missing(card: ModelCard, build: Build, steps: Sequence[Step] = ()) -> str | None:
    """Return what ``build`` lacks, with the command that installs it, or None if nothing is missing."""
    missing = missing_for(card, build, steps)
    return missing.sentence() if missing else None


def _extras(card: ModelCard, build: Build) -> tuple[str, ...]:
    if card.kind is SourceKind.READY:
        return FORMATS[build.format].runtime_extras
    if card.kind is SourceKind.KERAS:
        return KERAS_EXTRAS
    language = FORMATS[build.format].language
    if card.language is not None and language is not None:
        return language.extras
    return (BACKENDS[build.backend].extras if build.backend else ()) or FORMATS[build.format].extras


def tensorflow_distribution() -> str:
    """Return the distribution of TensorFlow that is installed; if there is none, the one that the extra installs."""
    cpu_only, full = TENSORFLOWS
    of_extra = cpu_only if (platform.system(), platform.machine()) == ("Linux", "x86_64") else full
    return next((name for name in TENSORFLOWS if not missing_packages((name,))), of_extra)
