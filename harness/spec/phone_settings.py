"""How a phone is set while it is measured: its clocks, the cores that the model may use, and what runs the model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import UsageError
from harness.spec.formats import FORMATS
from harness.wire import Format


class Clocks(StrEnum):
    """Who chooses the clocks: the system as for everybody, or Android's mode for benchmarks, bounded to what lasts."""

    DEFAULT = "default"
    FIXED = "fixed"


class Cores(StrEnum):
    """Which cores the model may use: all that the system offers, all but the slowest cluster, or the slowest alone."""

    ANY = "any"
    BIG = "big"
    LITTLE = "little"


class PhoneRunner(StrEnum):
    """What runs the model: our app in front, or a runtime's own benchmark program in the phone's shell."""

    APP = "app"
    SHELL = "shell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A benchmark program of a runtime, on this computer, and the format of the files that it runs."""

    format: Format
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """What was asked for; figures of unlike settings are not compared. ``binaries`` are for the shell runner."""

    clocks: Clocks = Clocks.DEFAULT
    cores: Cores = Cores.ANY
    runner: PhoneRunner = PhoneRunner.APP
    binaries: tuple[Binary, ...] = ()

    def binary(self, format_: Format) -> Binary | None:
        """Return the program for files of ``format_``, None where none was given."""
        return next((binary for binary in self.binaries if binary.format is format_), None)

    def changed(self) -> tuple[str, ...]:
        """Return the spec keys whose value is not the default: of ``clocks``, ``cores``, ``runner`` and ``binary``."""
        changes = {
            "clocks": self.clocks is not Clocks.DEFAULT,
            "cores": self.cores is not Cores.ANY,
            "runner": self.runner is not PhoneRunner.APP,
            "binary": bool(self.binaries),
        }
        return tuple(name for name, changed in changes.items() if changed)


AS_IT_IS = PhoneSettings()


def read_binaries(given: tuple[str, ...]) -> tuple[Binary, ...]:
    """Return the programs that ``PATH`` or ``FORMAT=PATH`` name; nothing is opened.

    Raises `UsageError` for a name that does not tell what the program is, and for two programs of one format.
    """
    found = tuple(_binary(text) for text in given)
    for binary in found:
        same = [other.path for other in found if other.format is binary.format]
        if len(same) > 1:
            msg = f"there are two programs for {binary.format.value}, {str(same[0])!r} and {str(same[1])!r}: name one"
            raise UsageError(msg)
    return found


def check_binaries(settings: PhoneSettings) -> None:
    """Raise `UsageError` for a program that is not there."""
    for binary in settings.binaries:
        if not binary.path.is_file():
            msg = f"there is no program {str(binary.path)!r} for {binary.format.value}: check the path after --binary"
            raise UsageError(msg)


def _binary(text: str) -> Binary:
    head, equals, rest = text.partition("=")
    programs = {row.shell_program: format_ for format_, row in FORMATS.items() if row.shell_program}
    formats = {format_.value: format_ for format_ in programs.values()}
    if equals and head in formats:
        return Binary(format=formats[head], path=Path(rest).expanduser())
    path = Path(text).expanduser()
    known = next((format_ for name, format_ in programs.items() if name in path.name), None)
    if known is None:
        shown = ", ".join(f"{format_.value}={name}" for name, format_ in programs.items())
        msg = f"the name of the program {text!r} does not tell what it runs: write FORMAT=PATH, as {shown}"
        raise UsageError(msg)
    return Binary(format=known, path=path)
