"""A spec: all settings of a run in one frozen record, whether they come from options or from a TOML file.

The keys of the file are the names of the options. Nothing is loaded here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.spec.formats import default_formats
from harness.spec.phone_settings import Clocks, Cores, PhoneRunner, PhoneSettings, read_binaries
from harness.spec.profiles import ProfileName
from harness.spec.recipe import Recipe
from harness.spec.shorthand import DEFAULT_VARIANTS, LANGUAGE_VARIANTS, recipes_of
from harness.wire import Delegate, Format

# No model of today holds more.
MOST_TOKENS = 1 << 24

# Profiles that need no single samples: a benchmark program of a runtime reports only a summary.
_SHELL_PROFILES = (ProfileName.QUICK, ProfileName.STANDARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run, where, and how to measure it.

    ``variant`` holds names of ``recipe`` tables or short names; a recipe wins over a short name of the same spelling.
    An empty ``delegate`` means the usual one of each format. ``input`` items have the form ``NAME:DTYPE:1x3x8x8``.
    ``launches`` replaces the profile's stop rule. ``timeout`` is the time limit of one launch in seconds, None to
    derive it from the profile. ``clocks``, ``cores``, ``runner`` and the ``binary`` items of the shell runner (``PATH``
    or ``FORMAT=PATH``) are settings of phones, the first two also of boards; ``wheels`` is the folder with the runtimes
    of a board, None to fetch them; ``ipa`` is the runner app for iPhones, None for the installed one. ``encrypt``: send
    artifacts to phones only encrypted.
    ``parts``: also run each part of a multi-part model alone.
    ``operators``: after a cell has been measured, time each of its operators in a launch of its own.
    ``require_signature``: the file of the public key that must have signed each model. ``sign``: the file of a private
    key that signs each artifact, for runner apps that check signatures. ``prompt`` and ``new_tokens`` are for language
    models: the lengths of prompts, each of which makes cells of its own, and how many tokens the model generates.
    """

    model: tuple[str, ...] = ("digits",)
    device: tuple[str, ...] = ("host",)
    format: tuple[Format, ...] = field(default_factory=default_formats)
    variant: tuple[str, ...] = tuple(p.value for p in DEFAULT_VARIANTS)
    recipe: tuple[Recipe, ...] = ()
    delegate: tuple[Delegate, ...] = ()
    threads: tuple[int, ...] = (1,)
    profile: ProfileName = ProfileName.QUICK
    launches: int | None = None
    timeout: float | None = None
    clocks: Clocks = Clocks.DEFAULT
    cores: Cores = Cores.ANY
    runner: PhoneRunner = PhoneRunner.APP
    binary: tuple[str, ...] = ()
    wheels: str | None = None
    ipa: str | None = None
    encrypt: bool = False
    parts: bool = False
    operators: bool = False
    random_weights: bool = False
    input: tuple[str, ...] = ()
    data: str | None = None
    seed: int = 0
    require_signature: str | None = None
    sign: str | None = None
    prompt: tuple[int, ...] = (128,)
    new_tokens: int = 64

    def __post_init__(self) -> None:
        _check_recipe_names(self.recipe)
        self.recipes()
        for key in ("model", "device", "format", "variant", "threads", "prompt"):
            if not getattr(self, key):
                msg = f"{key} is empty: give at least one, or leave it out for the default"
                raise UsageError(msg)
        # These limits catch typos: real devices have fewer cores, and real runs fewer launches.
        if any(t < 1 or t > 256 for t in self.threads):
            msg = f"threads is {list(self.threads)}: each number must be from 1 to 256"
            raise UsageError(msg)
        if self.launches is not None and not 1 <= self.launches <= 1000:
            msg = f"launches is {self.launches}: it must be from 1 to 1000"
            raise UsageError(msg)
        # NumPy takes seeds of 32 bits, PyTorch larger ones.
        if not 0 <= self.seed < 2**32:
            msg = f"seed is {self.seed}: it must be from 0 to {2**32 - 1}"
            raise UsageError(msg)
        self._check_lengths()
        if self.timeout is not None and not 1 <= self.timeout <= 86_400:
            msg = f"timeout is {self.timeout:g}: it must be from 1 to 86400 seconds"
            raise UsageError(msg)
        self._check_runner()

    def _check_lengths(self) -> None:
        empty = next((length for length in self.prompt if length < 1), None)
        if empty is not None:
            msg = f"prompt is {list(self.prompt)}: a language model needs a prompt of at least 1 token, not {empty}"
            raise UsageError(msg)
        if any(length > MOST_TOKENS for length in (*self.prompt, self.new_tokens)):
            msg = f"prompt is {list(self.prompt)} and new_tokens {self.new_tokens}: both must be at most {MOST_TOKENS}"
            raise UsageError(msg)
        if self.new_tokens < 2:
            msg = f"new_tokens is {self.new_tokens}: a decode rate needs at least 2 new tokens"
            raise UsageError(msg)

    def _check_runner(self) -> None:
        """Raise `UsageError` unless the runner, its programs and the profile go together."""
        read_binaries(self.binary)
        if self.binary and self.runner is not PhoneRunner.SHELL:
            msg = f"binary {self.binary[0]!r} needs the shell runner: add --runner shell"
            raise UsageError(msg)
        if self.runner is not PhoneRunner.SHELL:
            return
        if self.encrypt:
            msg = (
                "encrypt needs a runner app: the programs of runner 'shell' read the file in the clear; "
                "leave out --encrypt, or --runner shell"
            )
            raise UsageError(msg)
        if not self.binary:
            msg = (
                "runner 'shell' needs a runtime's own benchmark program: add --binary benchmark_model (tflite) "
                "or --binary executor_runner (pte)"
            )
            raise UsageError(msg)
        if self.profile not in _SHELL_PROFILES:
            allowed = " or ".join(profile.value for profile in _SHELL_PROFILES)
            msg = f"runner 'shell' cannot run profile {self.profile.value!r}, which needs single samples: use {allowed}"
            raise UsageError(msg)

    @property
    def settings(self) -> PhoneSettings:
        """The settings of phones and boards while they are measured."""
        return PhoneSettings(
            clocks=self.clocks,
            cores=self.cores,
            runner=self.runner,
            binaries=read_binaries(self.binary),
            wheels=Path(self.wheels).expanduser() if self.wheels else None,
            ipa=Path(self.ipa).expanduser() if self.ipa else None,
            encrypt=self.encrypt,
        )

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipe of each variant, by name; of imported results nobody knows them.

        The variants that a language model gets when the user names none are among them.
        """
        if self.profile is ProfileName.IMPORTED:
            return {}
        usual = LANGUAGE_VARIANTS if self.variant == DEFAULT_VARIANTS else ()
        return recipes_of((*self.variant, *usual), self.recipe)


def _check_recipe_names(recipes: tuple[Recipe, ...]) -> None:
    names = [recipe.name for recipe in recipes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"two recipes are named {twice!r}: give each its own name"
        raise UsageError(msg)
