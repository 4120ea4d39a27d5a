"""Which packages an artifact takes, by what it is made of: the network, the format, and the backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.model.card import ModelCard, SourceKind
from harness.plan.cells import Build
from harness.spec.formats import BACKENDS, FORMATS, packages_to_build
from harness.spec.recipe import STEP_EXTRA, Step, step_name, step_packages
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Packages that are not installed: the format or graph step that needs each, and the extras that install them."""

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
    """Return what is not installed of the packages that ``build`` takes, those of its graph steps included, or None."""
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
    """Return all of ``missing`` as one, None when there is nothing."""
    found = tuple(missing)
    if not found:
        return None
    needed_by = {package: user for one in reversed(found) for package, user in one.needed_by.items()}
    return Missing(needed_by=needed_by, extras=tuple(dict.fromkeys(extra for one in found for extra in one.extras)))


def why_missing(card: ModelCard, build: Build, steps: Sequence[Step] = ()) -> str | None:
    """Return the sentence with the command that installs what ``build`` lacks, or None when everything is there."""
    missing = missing_for(card, build, steps)
    return missing.sentence() if missing else None


def _extras(card: ModelCard, build: Build) -> tuple[str, ...]:
    if card.kind is SourceKind.READY:
        return FORMATS[build.format].runtime_extras
    if card.kind is SourceKind.KERAS:
        return KERAS_EXTRAS
    return (BACKENDS[build.backend].extras if build.backend else ()) or FORMATS[build.format].extras


def _tensorflow() -> str:
    """The distribution of TensorFlow that is installed, the one for the CPU alone where none is."""
    return next((name for name in TENSORFLOWS if not missing_packages((name,))), TENSORFLOWS[0])
