"""Options that several commands share, and how they become a spec."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.paths import HISTORY, PATH
from harness.system.paths import DEFAULT_RESULTS

if TYPE_CHECKING:
    from harness.measure.pairs import PairPlan
    from harness.spec.spec import Spec
    from harness.workflows.bench import Places

_OUTSIDE_BRACKETS = re.compile(r",(?![^\[\]]*\])")
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Listed(click.ParamType[list[str]]):
    """A list of names, separated by commas; the option may be repeated too."""

    name = "LIST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:  # noqa: ARG002
        """Split at commas and drop empty items."""
        if isinstance(value, list):
            return value
        # The conditions in the brackets of a device have commas of their own.
        return [item.strip() for item in _OUTSIDE_BRACKETS.split(str(value)) if item.strip()]


class TableOption(click.Option):
    """An option whose help has ``{keys}``, ``{formats}`` and the like, filled in from the tables when it is shown."""

    help_template = ""

    # Filled in late, because a command must start without importing the tables.
    @property
    def help(self) -> str:
        """The help text with the available device keys and formats."""
        from harness.devices.registry import example_keys
        from harness.spec.formats import default_formats, own_formats, searched_formats

        return self.help_template.format(
            keys=", ".join(example_keys(groups=self.multiple)),
            formats=", ".join(own_formats()),
            network_formats=", ".join(f for f, row in own_formats().items() if not row.only_language),
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
delegates_option = listed(
    "--delegate",
    help="What the runtime runs on: cpu, xnnpack, gpu, nnapi, coreml, qnn.  [default: the usual one of each format]",
)
launches_option = click.option("--launches", type=int, metavar="N", help="Launches per cell; overrides the profile.")
timeout_option = click.option(
    "--timeout", type=float, metavar="SECONDS", help="Time limit of one launch.  [default: derived from the profile]"
)


# The defaults below are written in the help texts and not set on the options. An option that was not given stays None
# or empty, so that the spec file, and after it the defaults of `Spec`, can fill it.
signature_option = click.option(
    "--require-signature",
    metavar="PUBKEY",
    envvar="PHONEBENCH_REQUIRE_SIGNATURE",
    show_envvar=True,
    help="Refuse files that this public key or certificate has not signed.",
)

model_options = together(
    click.option(
        "--data",
        metavar="SOURCE",
        help="Data for a model without a model.toml: an image folder, an .npz file or module:function.",
    ),
    listed("--input", help="Inputs of a model that does not declare them, as NAME:DTYPE:1x3x224x224."),
    click.option(
        "--random-weights",
        is_flag=True,
        default=None,
        help="Leave the weights random: speed is real, accuracy is not measured.",
    ),
    click.option("--seed", type=int, metavar="N", help="Seed for everything random.  [default: 0]"),
    signature_option,
    click.option(
        "--sign", metavar="KEY", help="Sign each artifact with this private key, for runner apps that check signatures."
    ),
)

measuring_options = together(
    devices_option,
    listed("-f", "--format", help="File formats: {network_formats}.  [default: {searched_formats}]"),
    delegates_option,
    listed("-t", "--threads", help="One thread count.  [default: 1]"),
    click.option(
        "-p", "--profile", metavar="NAME", help="quick (indicative) or standard (several launches).  [default: quick]"
    ),
    launches_option,
    timeout_option,
)

spec_options = together(
    click.argument("model", nargs=-1),
    devices_option,
    listed("-f", "--format", help="File formats: {formats}.  [default: {default_formats}]"),
    listed(
        "-v",
        "--variant",
        help="Graph steps and a precision, such as prune50+int8.  [default: fp32, fp16, int8, int8-dynamic]",
    ),
    delegates_option,
    listed("-t", "--threads", help="Thread counts, such as 1,4; each makes cells of its own.  [default: 1]"),
    click.option(
        "-p",
        "--profile",
        metavar="NAME",
        help="quick (indicative), standard (several launches), mlperf, sustained (half an hour), energy (joules).  "
        "[default: quick]",
    ),
    launches_option,
    timeout_option,
    click.option(
        "--clocks",
        metavar="NAME",
        help="Clocks of a phone or board: default (as it sets them), or fixed (a steady speed).  [default: default]",
    ),
    click.option(
        "--cores", metavar="NAME", help="Cores of a phone or board to run on: any, big, little.  [default: any]"
    ),
    click.option(
        "--runner",
        metavar="NAME",
        help="What runs the model on a phone: app, or shell with the runtime's own program.  [default: app]",
    ),
    listed("--binary", help="Programs of the shell runner: benchmark_model, executor_runner, or FORMAT=PATH."),
    click.option(
        "--wheels", metavar="DIR", help="Install the runtimes of a board from this folder, not from the network."
    ),
    click.option(
        "--ipa", metavar="FILE", help="Install this runner app on an iPhone where another one, or none, is installed."
    ),
    click.option(
        "--encrypt",
        is_flag=True,
        default=None,
        help="Send artifacts to a phone only encrypted, for a key in its keystore.",
    ),
    click.option("--spec", "spec_file", type=PATH, metavar="FILE", help="Read these options from a TOML file."),
    click.option(
        "--operators", is_flag=True, default=None, help="Afterwards, also time each operator, in a separate launch."
    ),
    listed(
        "--prompt", help="Tokens in the prompt of a language model; each length makes cells of its own.  [default: 128]"
    ),
    click.option("--new-tokens", type=int, metavar="N", help="Tokens that a language model generates.  [default: 64]"),
    click.option("--parts", is_flag=True, default=None, help="Also run each part of a multi-part model by itself."),
    model_options,
)

cache_option = click.option(
    "--cache-dir",
    type=PATH,
    metavar="DIR",
    envvar="PHONEBENCH_CACHE",
    show_envvar=True,
    help="Where artifacts are stored.  [default: the user's cache folder]",
)

results_option = click.option(
    "--results",
    type=PATH,
    metavar="DIR",
    default=DEFAULT_RESULTS,
    show_default=True,
    envvar="PHONEBENCH_RESULTS",
    show_envvar=True,
    help="Where runs are stored.",
)

history_option = click.option(
    "--history",
    type=HISTORY,
    metavar="FILE|URL",
    envvar="PHONEBENCH_HISTORY",
    show_envvar=True,
    help="The history: a file, or postgresql://USER@HOST/DATABASE.  [default: history.sqlite in --results]",
)

places_options = together(results_option, cache_option)

pairs_options = together(
    click.option(
        "--pairs",
        type=click.IntRange(2, 1000),
        metavar="N",
        default=10,
        show_default=True,
        help="Pairs that each comparison starts with.",
    ),
    click.option(
        "--most-pairs",
        type=click.IntRange(2, 1000),
        metavar="N",
        default=20,
        show_default=True,
        help="Most pairs of a comparison that stays undecided.",
    ),
)

margin_option = click.option(
    "--margin",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    default=3.0,
    show_default=True,
    help="The smallest change of latency that matters.",
)

undecided_option = click.option(
    "--fail-on-undecided", is_flag=True, help="Exit with 15 when nothing regressed but something is undecided."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def lender_of(options: dict[str, Any]) -> str | None:
    """Return the farm of `farm_options` that lends phones; None if there is none, or it measures itself."""
    url: str | None = options["farm_url"]
    return None if url is None or _is_ours(url) else url


def _is_ours(url: str) -> bool:
    """Whether a farm has a scheduler of ours. What is no address at all is refused with the form that ours have."""
    return not url.startswith("stf:")


def _at_once(jobs: str | None) -> int | None:
    """The number of phones that work at once; None for all. Raises `UsageError`."""
    from harness.errors import UsageError

    if jobs in (None, "auto"):
        return None
    if jobs.isdecimal() and int(jobs) > 0:
        return int(jobs)
    msg = f"jobs is {jobs!r}: give auto, or how many phones work at once, such as --jobs 4"
    raise UsageError(msg)


def history_place(history: str | None, results: Path) -> str:
    """Return where the history is: the file or URL ``history``, or if None a file in ``results``."""
    return history or str(results / "history.sqlite")


def places(results: Path, cache_dir: Path | None) -> Places:
    """Return where a run keeps its files, and the options that find them again."""
    from harness.workflows.bench import places_of

    return places_of(results, cache_dir)


_FARM = (
    click.option(
        "--farm",
        "farm_url",
        metavar="URL",
        envvar="PHONEBENCH_FARM",
        show_envvar=True,
        help="Measure on the devices of a farm, tls://HOST:PORT, or borrow its phones, stf://HOST.",
    ),
    click.option(
        "--certs",
        type=PATH,
        metavar="DIR",
        envvar="PHONEBENCH_FARM_CERTS",
        show_envvar=True,
        help="The folder with your certificate of the farm.  [default: farm in the user's configuration]",
    ),
    click.option(
        "--priority",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Cells of a higher priority run first on the farm.",
    ),
)

one_device_farm_options = together(*_FARM)

farm_options = together(
    *_FARM[:2],
    click.option(
        "--jobs",
        metavar="N",
        help="Phones that work at once: auto for all, through the queue of a farm.  [default: a thread per phone]",
    ),
    *_FARM[2:],
)


def farm_places(results: Path, cache_dir: Path | None, options: dict[str, Any]) -> Places:
    """Return where a run keeps its files and finds its devices; takes the values of `farm_options` out of ``options``.

    Raises `UsageError` for a farm that cannot be named so, and for certificates that do not work.
    """
    from dataclasses import replace

    from harness.cli.lent import with_farm
    from harness.workflows.bench import FarmChoice

    url, certs, priority = (options.pop(name) for name in ("farm_url", "certs", "priority"))
    jobs = options.pop("jobs", None)
    where = places(results, cache_dir)
    if url is not None and not _is_ours(url):
        return with_farm(where, url)
    if url is None:
        return replace(where, farm=FarmChoice(side_by_side=jobs is not None, at_once=_at_once(jobs)))
    from harness.farm.places import farm_certs
    from harness.farm.tls import farm_place

    more = ["--farm", url, *(["--certs", str(certs)] if certs else [])]
    choice = FarmChoice(place=farm_place(url, farm_certs(certs)), priority=priority)
    return replace(where, farm=choice, options=(*where.options, *more))


def pair_plan(pairs: int, most_pairs: int) -> PairPlan:
    """Return the plan of `pairs_options`; more first pairs than ``--most-pairs`` raise the limit instead of failing."""
    from harness.measure.pairs import PairPlan

    return PairPlan(pairs=pairs, most_pairs=max(pairs, most_pairs))


def spec_from(spec_file: Path | None, options: dict[str, Any]) -> Spec:
    """Return the spec in ``spec_file``, overridden by the options of the command line. Raises `UsageError`."""
    from harness.spec.read import KEYS, make_spec, read_spec

    values = _with_numbers(read_spec(spec_file)) if spec_file else {}
    if spec_file:
        # Checked before it is merged: a mistake on the command line must not be blamed on the file.
        make_spec(values, where=str(spec_file))
    for key in KEYS:
        value = options.get(key)
        if value is None or value == ():
            continue
        values[key] = flat(value) if isinstance(value, tuple) else value
    return make_spec(_with_numbers(values))


def flat(value: tuple[Any, ...]) -> list[Any]:
    """The items of a repeated option: each use of a `Listed` option gives a list, an argument gives a word."""
    return [item for part in value for item in (part if isinstance(part, list) else [part])]


def _with_numbers(values: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with its lists of numbers as numbers; the command line gives them as words."""
    listed = {key: values[key] for key in ("threads", "prompt") if key in values}
    return values | {
        key: [_number(key, item) for item in (value if isinstance(value, list) else [value])]
        for key, value in listed.items()
    }


def _number(key: str, text: Any) -> int:
    from harness.errors import UsageError

    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if isinstance(text, str) and text.isdecimal():
        return int(text)
    example = "1,4" if key == "threads" else "128,512"
    msg = f"{key} is {text!r}: give whole numbers, such as --{key} {example}"
    raise UsageError(msg)
