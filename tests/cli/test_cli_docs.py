"""docs/cli.md says what ``--help`` says: every command, option, default, choice and placeholder, and no other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import click
import pytest

from harness.cli import cli
from harness.spec.goal import Minimise
from harness.spec.phone_settings import Clocks, Cores, PhoneRunner
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()

# Options that take names of a closed set. A command may take fewer of them; then its help lists which.
CLOSED: dict[str, type[StrEnum]] = {
    "--format": Format,
    "--delegate": Delegate,
    "--profile": ProfileName,
    "--clocks": Clocks,
    "--cores": Cores,
    "--runner": PhoneRunner,
    "--minimise": Minimise,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of an option table: its flags, its placeholder, and the text beside them."""

    flags: frozenset[str]
    placeholder: str
    meaning: str


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command that is not a group, by its words."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        words = (*path, name)
        found |= leaves(command, words) if isinstance(command, click.Group) else {" ".join(words): command}
    return found


def sections() -> dict[str, str]:
    """The text below each heading that names a command, down to the next heading."""
    parts = re.split(r"^##+ (.*)\n", PAGE, flags=re.MULTILINE)[1:]
    named = zip(parts[::2], parts[1::2], strict=True)
    return {title.removeprefix("phonebench "): text for title, text in named if title.startswith("phonebench ")}


def rows(text: str) -> list[Row]:
    """The rows of the option table in a section."""
    found: list[Row] = []
    for line in text.splitlines():
        if not line.startswith("| `-"):
            continue
        cell, meaning = (part.strip() for part in re.split(r"(?<!\\)\|", line)[1:3])
        spans = [span.replace("\\|", "|") for span in re.findall(r"`([^`]*)`", cell)]
        flags = [re.match(r"-[\w-]+", span) for span in spans]
        rest = [span[len(flag[0]) :].strip() for span, flag in zip(spans, flags, strict=True) if flag]
        found.append(Row(flags=frozenset(flag[0] for flag in flags if flag), placeholder=rest[-1], meaning=meaning))
    return found


COMMANDS = leaves(cli)
SECTIONS = sections()
OPTIONS = [
    pytest.param(name, option, id=f"{name} {option.opts[-1]}")
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option)
]


def row_of(name: str, option: click.Option) -> Row:
    return next(row for row in rows(SECTIONS[name]) if row.flags & set(option.opts))


def words_in(text: str, names: type[StrEnum]) -> set[str]:
    return {name.value for name in names if re.search(rf"(?<![\w-]){re.escape(name.value)}(?![\w-])", text)}


def test_the_sections_are_the_commands() -> None:
    groups = {name for name, command in cli.commands.items() if isinstance(command, click.Group)}
    assert set(SECTIONS) == set(COMMANDS) | groups


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_table_has_the_options_of_the_help(name: str) -> None:
    documented = [flag for row in rows(SECTIONS[name]) for flag in row.flags]
    options = [flag for option in COMMANDS[name].params if isinstance(option, click.Option) for flag in option.opts]
    assert sorted(documented) == sorted(options)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_call_names_the_arguments(name: str) -> None:
    arguments = [p for p in COMMANDS[name].params if isinstance(p, click.Argument)]
    calls = " ".join(re.findall(rf"`phonebench {name}([^`]*)`", SECTIONS[name]))
    shown = set(re.findall(r"\b[A-Z][A-Z_]*\b", calls))
    taken = {re.sub(r"[^A-Z_]", "", a.make_metavar(click.Context(COMMANDS[name]))) for a in arguments} - {""}
    # A system is named by its only word: ``phonebench runner build android``.
    assert shown - {"DIR", "LIST", "FILE"} == taken - {"SYSTEM"}


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_a_placeholder_is_that_of_the_help(name: str, option: click.Option) -> None:
    choices = isinstance(option.type, click.Choice) and option.metavar is None
    shown = "" if option.is_flag or choices else option.make_metavar(click.Context(COMMANDS[name]))
    assert row_of(name, option).placeholder == ("N" if choices else shown)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_a_default_is_that_of_the_help(name: str, option: click.Option) -> None:
    meaning = row_of(name, option).meaning.replace("`", "")
    if option.show_default:
        default = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
        assert re.search(rf"\b{re.escape(default)}\b", meaning)
        assert "default" in meaning
    written = re.search(r"\[default: (.*?)\]", option.help or "")
    if written:
        missing = [word for word in re.split(r"[,\s]+", written[1]) if word.strip("()") not in meaning]
        assert not missing
        assert "default" in meaning.lower()
    if not option.show_default and written is None:
        assert "default" not in re.sub(r"\(.*?\)", "", meaning).lower()


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_names_are_those_of_the_help(name: str, option: click.Option) -> None:
    row = row_of(name, option)
    if isinstance(option.type, click.Choice):
        assert set(option.type.choices) <= set(re.findall(r"[\w.-]+", row.meaning))
    names = CLOSED.get(option.opts[-1])
    if names is not None and "as for `run`" not in row.meaning:
        assert words_in(row.meaning, names) == words_in(option.help or "", names)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_an_environment_variable_is_that_of_the_help(name: str, option: click.Option) -> None:
    documented = set(re.findall(r"`((?:PHONEBENCH|ANDROID)_\w+)`", row_of(name, option).meaning))
    assert documented == ({option.envvar} if option.envvar else set())
    assert option.show_envvar == bool(option.envvar)


def test_every_option_in_the_prose_exists() -> None:
    real = {flag for command in COMMANDS.values() for p in command.params for flag in p.opts} | {"--help"}
    assert set(re.findall(r"--[a-z][a-z0-9-]*", PAGE)) <= real
