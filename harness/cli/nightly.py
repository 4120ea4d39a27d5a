"""``phonebench nightly``: run, store, screen, confirm, and report the result as an exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.lent import lent
from harness.cli.options import (
    farm_options,
    farm_places,
    flat,
    history_option,
    history_place,
    json_option,
    lender_of,
    listed,
    pair_plan,
    pairs_options,
    places_options,
    signature_option,
    undecided_option,
)
from harness.cli.paths import PATH
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.spec.spec import Spec
    from harness.workflows.nightly.night import NightOptions, NightTools
    from harness.workflows.nightly.record import NightRecord

ARL0S = ("500", "1000", "2000", "5000")


@click.command(short_help="Run a night, and fail only for confirmed regressions.")
@click.argument("spec", required=False, type=PATH)
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[=NIGHT]", help="Continue a stopped night.")
@click.option(
    "--arl0",
    type=click.Choice(ARL0S),
    default="1000",
    show_default=True,
    help="Average run length: nights until one false suspicion is expected.",
)
@farm_options
@pairs_options
@click.option(
    "--budget",
    type=click.FloatRange(0),
    metavar="MINUTES",
    default=60.0,
    show_default=True,
    help="Minutes per night within which comparisons may begin.",
)
@click.option(
    "--baseline",
    metavar="RUN|FILE",
    help="Also compare every night with this run, such as a release, or this artifact.",
)
@signature_option
@listed("--readmit", help="Try these devices tonight although they are in quarantine.")
@click.option("--junit", type=PATH, metavar="FILE", help="Write the JUnit XML here too.")
@click.option("--summary", type=PATH, metavar="FILE", help="Append the Markdown summary to this file too.")
@undecided_option
@history_option
@places_options
@json_option
def nightly(
    spec: Path | None,
    resume: str | None,
    junit: Path | None,
    summary: Path | None,
    fail_on_undecided: bool,
    as_json: bool,
    results: Path,
    **options: Any,
) -> int:
    """Run a night of SPEC, a TOML file with the options of run, such as:

    \b
      model = ["digits", "path/to/flowers"]
      device = ["android:SERIAL"]
      format = ["tflite", "onnx"]
      variant = ["fp32", "int8"]

    The profile is standard unless SPEC sets another. An artifact that is new tonight is compared with last night's, in
    interleaved pairs on the same device, the largest slowdown first. Every series is screened against its history, and
    what looks suspicious is compared the same way. Only a regression that such pairs confirm fails the job.

    A night takes one to three minutes per cell in the standard profile, and up to the minutes of --budget.

    Exit codes: 10 for a confirmed regression, 20 if a device or a cell is missing, 15 see --fail-on-undecided, 0
    otherwise.
    """
    from harness.cli.night_files import copy_files, night_code
    from harness.workflows.nightly.night import nightly as run_night
    from harness.workflows.nightly.night import resume_night

    farm, key = lender_of(options), options["require_signature"]
    tools = _tools(results, options)
    if resume is not None:
        if spec is not None:
            msg = "--resume continues a stored night, which has its own spec: leave out SPEC, or write --resume=NIGHT"
            raise UsageError(msg)
        with lent(farm, _stored_devices(results, resume) if farm else (), strict=False):
            record = resume_night(resume, tools, require_signature=key)
    elif spec is None:
        msg = (
            "name a SPEC, a TOML file with the options of run; phonebench nightly --help shows one. To continue a "
            "stopped night, use --resume"
        )
        raise UsageError(msg)
    else:
        asked = _spec(spec)
        # A phone that is not lent tonight is absent, and the others run.
        with lent(farm, asked.device, strict=False) as devices:
            night = replace(asked, device=devices, require_signature=key or asked.require_signature)
            record = run_night(night, tools, _options(options), say=lambda text: click.echo(text, err=True))
    copy_files(record, junit_path=junit, summary_path=summary)
    _show(record, results, as_json=as_json)
    return night_code(record, fail_on_undecided=fail_on_undecided)


def _stored_devices(results: Path, night: str) -> tuple[str, ...]:
    from harness.workflows.nightly.record import read_night

    return read_night(results, night).spec.device


def _tools(results: Path, options: dict[str, Any]) -> NightTools:
    from harness.workflows.nightly.night import NightTools

    return NightTools(
        places=farm_places(results, options["cache_dir"], options),
        history=history_place(options["history"], results),
        progress=make_progress(),
        plan=pair_plan(options["pairs"], options["most_pairs"]),
    )


def _options(options: dict[str, Any]) -> NightOptions:
    from harness.workflows.nightly.night import NightOptions

    return NightOptions(
        arl0=int(options["arl0"]),
        budget_min=options["budget"],
        baseline=options["baseline"],
        readmit=tuple(flat(options["readmit"])),
    )


def _spec(path: Path) -> Spec:
    from harness.spec.profiles import ProfileName
    from harness.spec.read import make_spec, read_spec

    # The quick profile makes one launch per cell, which has no interval and can confirm nothing.
    values = read_spec(path)
    return make_spec({"profile": ProfileName.STANDARD.value, **values}, where=str(path))


def _show(record: NightRecord, results: Path, *, as_json: bool) -> None:
    import msgspec

    from harness.workflows.nightly.device_words import device_lines
    from harness.workflows.nightly.files import MARKDOWN_FILE, describe, describe_cause, show_value
    from harness.workflows.nightly.record import FOLDER

    folder = results / FOLDER / record.id
    if as_json:
        print_json(msgspec.to_builtins(record) | {"folder": str(folder)})
        return
    for cause in record.causes:
        click.echo(describe_cause(cause))
    rows = [
        (n.state.value, n.series, show_value(n.value, n.metric), show_value(n.level, n.metric), describe(n))
        for n in record.series or ()
    ]
    print_table(("state", "series", "tonight", "level before", ""), rows)
    for line in device_lines(record):
        click.echo(line)
    click.echo(f"\nnight {record.id}: {folder / MARKDOWN_FILE}")
