"""Options that several commands share, and how they become a spec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from harness.spec.spec import Spec
    from harness.workflows.bench import Places

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Listed(click.ParamType[list[str]]):
    """A list of names: separated by commas, in one option or in several."""

    name = "LIST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:  # noqa: ARG002
        """Split at commas; empty items fall away."""
        if isinstance(value, list):
            return value
        return [item.strip() for item in str(value).split(",") if item.strip()]


class TableOption(click.Option):
    """An option whose help has ``{keys}``, ``{formats}`` and the like, filled in from the tables when it is shown."""

    help_template = ""

    # Filled in late, because a command must start without importing the tables.
    @property
    def help(self) -> str:
        """The help text with the device keys and the formats that there are."""
        from harness.devices.registry import example_keys
        from harness.spec.formats import FORMATS, default_formats, searched_formats

        return self.help_template.format(
            keys=", ".join(example_keys(groups=self.multiple)),
            formats=", ".join(FORMATS),
            default_formats=", ".join(default_formats()),
            searched_formats=", ".join(searched_formats()),
        )

    @help.setter
    def help(self, text: str) -> None:
        self.help_template = text


def together(*options: Callable[[_Function], _Function]) -> Callable[[_Function], _Function]:
    """Return one decorator that applies ``options`` so that the first is shown first."""

    def decorate(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def listed(*names: str, help: str) -> Callable[[_Function], _Function]:  # noqa: A002  click's own word
    """Return an option that takes a list of names; its help may refer to the tables, see `TableOption`."""
    return click.option(*names, cls=TableOption, type=Listed(), multiple=True, metavar="LIST", help=help)


devices_option = listed("-d", "--device", help="Where to run: {keys}.  [default: host]")


model_options = together(
    click.option("--data", help="Data for a model without a card: an image folder or an .npz."),
    listed("--input", help="Inputs of a model that does not tell them, as NAME:DTYPE:1x3x224x224."),
    click.option("--random-weights", is_flag=True, default=None, help="Leave weights untrained: speed, no accuracy."),
    click.option("--seed", type=int, help="Seed of everything random.  [default: 0]"),
)

measuring_options = together(
    devices_option,
    listed("-f", "--format", help="File formats: {formats}.  [default: {searched_formats}]"),
    listed("--delegate", help="What to run on: cpu, xnnpack, gpu, nnapi, coreml.  [default: each format's usual one]"),
    listed("-t", "--threads", help="The number of threads.  [default: 1]"),
    click.option("-p", "--profile", help="quick (indicative) or standard (several launches).  [default: quick]"),
    click.option("--launches", type=int, help="Exactly so many launches a cell, whatever the profile says."),
    click.option("--timeout", type=float, metavar="SECONDS", help="The longest that one launch may take."),
)

spec_options = together(
    click.argument("model", nargs=-1),
    devices_option,
    listed("-f", "--format", help="File formats: {formats}.  [default: {default_formats}]"),
    listed(
        "-v",
        "--variant",
        help="Steps and a precision: prune50+int8.  [default: fp32, fp16, int8, int8-dynamic]",
    ),
    listed("--delegate", help="What to run on: cpu, xnnpack, gpu, nnapi, coreml.  [default: each format's usual one]"),
    listed("-t", "--threads", help="Numbers of threads.  [default: 1]"),
    click.option(
        "-p",
        "--profile",
        help="quick (indicative), standard (several launches), mlperf, sustained (half an hour).  [default: quick]",
    ),
    click.option("--launches", type=int, help="Exactly so many launches a cell, whatever the profile says."),
    click.option("--timeout", type=float, metavar="SECONDS", help="The longest that one launch may take."),
    click.option("--clocks", help="Clocks of a phone: default, or fixed to what it can hold.  [default: default]"),
    click.option("--cores", help="Cores of a phone that the model may use: any, big, little.  [default: any]"),
    click.option("--runner", help="What runs on a phone: app, or shell with a runtime's own program.  [default: app]"),
    listed("--binary", help="Programs of the shell runner: benchmark_model, executor_runner, or FORMAT=PATH."),
    click.option("--spec", "spec_file", type=click.Path(path_type=Path), help="Read these options from a TOML file."),
    click.option("--parts", is_flag=True, default=None, help="Run each part of a model of several by itself as well."),
    model_options,
)

CACHE_HELP = "Where artifacts are kept.  [default: the user's cache folder]"

results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    envvar="PHONEBENCH_RESULTS",
    show_envvar=True,
    help="Where runs are kept.",
)

history_option = click.option(
    "--history",
    metavar="FILE|URL",
    envvar="PHONEBENCH_HISTORY",
    show_envvar=True,
    help="The history: a file, or postgresql://USER@HOST/DATABASE.  [default: history.sqlite in the results]",
)

places_options = together(
    results_option,
    click.option(
        "--cache-dir",
        type=click.Path(path_type=Path),
        envvar="PHONEBENCH_CACHE",
        show_envvar=True,
        help=CACHE_HELP,
    ),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def cache_folder(given: Path | None) -> Path:
    """Return the cache folder: the one given, else the system's place for a user's caches."""
    if given is not None:
        return given
    from platformdirs import user_cache_path

    return user_cache_path("phonebench")


def history_place(given: str | None, results: Path) -> str:
    """Return where the history is: the file or URL given, else a file in the results."""
    return given or str(results / "history.sqlite")


def places(results: Path, cache_dir: Path | None) -> Places:
    """Return where a run keeps things."""
    from harness.workflows.bench import Places

    return Places(results=results, cache=cache_folder(cache_dir))


def spec_from(spec_file: Path | None, given: dict[str, Any]) -> Spec:
    """Return the spec of a file with the options of the command line over it. Raises `UsageError`."""
    from harness.spec.read import KEYS, make_spec, read_spec

    values = _with_numbers(read_spec(spec_file)) if spec_file else {}
    if spec_file:
        # By itself first, so that a mistake on the command line is not blamed on the file.
        make_spec(values, where=str(spec_file))
    for key in KEYS:
        value = given.get(key)
        if value is None or value == ():
            continue
        values[key] = _flat(value) if isinstance(value, tuple) else value
    return make_spec(_with_numbers(values))


def _flat(value: tuple[Any, ...]) -> list[Any]:
    """Options of `Listed` come as a list each; plain arguments as they are."""
    return [item for part in value for item in (part if isinstance(part, list) else [part])]


def _with_numbers(values: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with numbers for ``threads``, which come as words from the command line."""
    if "threads" not in values:
        return values
    threads = values["threads"]
    return values | {"threads": [_number(item) for item in (threads if isinstance(threads, list) else [threads])]}


def _number(text: Any) -> int:
    from harness.errors import UsageError

    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if isinstance(text, str) and text.isdecimal():
        return int(text)
    msg = f"threads is {text!r}: give whole numbers, such as --threads 1,4"
    raise UsageError(msg)
