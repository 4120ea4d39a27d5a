"""The settings of a phone or board during measurement: its clocks, the cores for the model, and what runs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import UnknownNameError, UsageError
from harness.spec.formats import FORMATS
from harness.system.paths import path_problem
from harness.wire import Format


class Clocks(StrEnum):
    """``default`` leaves the clocks to the system; ``fixed`` uses Android's fixed-performance mode for benchmarks.

    That mode limits the clocks to what the phone can sustain.
    """

    DEFAULT = "default"
    FIXED = "fixed"


class Cores(StrEnum):
    """The cores for the model: all of them, all but the slowest cluster, or only the slowest cluster."""

    ANY = "any"
    BIG = "big"
    LITTLE = "little"


class PhoneRunner(StrEnum):
    """What runs the model: our app in the foreground, or a runtime's own benchmark program in the phone's shell."""

    APP = "app"
    SHELL = "shell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A runtime's benchmark program on this computer, and the format of the files it runs."""

    format: Format
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """The requested settings; results with different clocks, cores or runners are not compared.

    ``binaries`` are for the shell runner. ``wheels`` is a folder with the runtimes of a board, None to fetch them.
    ``ipa`` is the runner app for iPhones, None to use the one that is installed. ``encrypt``: artifacts lie
    on the phone encrypted for its runner app.
    """

    clocks: Clocks = Clocks.DEFAULT
    cores: Cores = Cores.ANY
    runner: PhoneRunner = PhoneRunner.APP
    binaries: tuple[Binary, ...] = ()
    wheels: Path | None = None
    ipa: Path | None = None
    encrypt: bool = False

    def binary(self, format_: Format) -> Binary | None:
        """Return the program for files of ``format_``, None if none was given."""
        return next((binary for binary in self.binaries if binary.format is format_), None)

    def changed(self) -> tuple[str, ...]:
        """Return the spec keys with a value other than the default: such as ``clocks``."""
        changes = {
            "clocks": self.clocks is not Clocks.DEFAULT,
            "cores": self.cores is not Cores.ANY,
            "runner": self.runner is not PhoneRunner.APP,
            "binary": bool(self.binaries),
            "wheels": self.wheels is not None,
            "ipa": self.ipa is not None,
            "encrypt": self.encrypt,
        }
        return tuple(name for name, changed in changes.items() if changed)


DEFAULT_SETTINGS = PhoneSettings()
# Settings that only say where the runner of a device comes from, not how it is measured.
SOURCES = frozenset({"wheels", "ipa"})


def read_binaries(texts: tuple[str, ...]) -> tuple[Binary, ...]:
    """Return the programs given as ``PATH`` or ``FORMAT=PATH``; no file is opened.

    Raises `UsageError` if the format does not follow from a program's name, and for two programs of one format.
    """
    binaries = tuple(_binary(text) for text in texts)
    for binary in binaries:
        paths = [other.path for other in binaries if other.format is binary.format]
        if len(paths) > 1:
            msg = (
                f"two programs for {binary.format.value} were given, {str(paths[0])!r} and {str(paths[1])!r}: give one"
            )
            raise UsageError(msg)
    return binaries


def check_binaries(settings: PhoneSettings) -> None:
    """Raise `UsageError` if a program's file does not exist."""
    for binary in settings.binaries:
        if path_problem(binary.path) or not binary.path.is_file():
            msg = f"there is no program {str(binary.path)!r} for {binary.format.value}: check the path of --binary"
            raise UsageError(msg)


def check_wheels(settings: PhoneSettings) -> None:
    """Raise `UsageError` if the folder with the runtimes of a board does not exist or holds none."""
    folder = settings.wheels
    if folder is None:
        return
    if path_problem(folder) or not folder.is_dir():
        msg = f"there is no folder {str(folder)!r}: check the path of --wheels"
        raise UsageError(msg)
    if not any(folder.glob("*.whl")):
        msg = f"the folder {str(folder)!r} of --wheels holds no wheel (*.whl): fill it with pip download"
        raise UsageError(msg)


def check_ipa(settings: PhoneSettings) -> None:
    """Raise `UsageError` if the runner app for iPhones does not exist."""
    if settings.ipa is not None and (path_problem(settings.ipa) or not settings.ipa.is_file()):
        msg = f"there is no file {str(settings.ipa)!r}: check the path of --ipa"
        raise UsageError(msg)


def _binary(text: str) -> Binary:
    head, equals, rest = text.partition("=")
    programs = {row.shell_program: format_ for format_, row in FORMATS.items() if row.shell_program}
    formats = {format_.value: format_ for format_ in programs.values()}
    if equals and head in formats:
        return Binary(format=formats[head], path=Path(rest).expanduser())
    path = Path(text).expanduser()
    others = {row.other_program: format_ for format_, row in FORMATS.items() if row.other_program}
    format_ = next((format_ for name, format_ in (programs | others).items() if name in path.name), None)
    if format_ is None:
        examples = ", ".join(f"{format_.value}={name}" for name, format_ in programs.items())
        if equals and head in set(Format):
            # The form is right, so repeating it would not help.
            runnable = ", ".join(formats)
            msg = (
                f"--binary {text!r}: no benchmark program for {head} can be run, only programs for {runnable} "
                f"({examples}); omit --runner shell to measure {head} with the runner app"
            )
            raise UsageError(msg)
        if equals and "/" not in head:
            raise UnknownNameError(head, kind="format", allowed=formats, where=f"--binary {text}")
        msg = f"the name of program {text!r} does not say which format it runs: write FORMAT=PATH, such as {examples}"
        raise UsageError(msg)
    return Binary(format=format_, path=path)
