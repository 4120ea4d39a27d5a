"""``phonebench nightly``: run, enter, screen, confirm, and say what is so in an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import history_option, history_place, json_option, places, places_options

if TYPE_CHECKING:
    from harness.spec.spec import Spec
    from harness.workflows.nightly.night import NightTools
    from harness.workflows.nightly.record import NightRecord

ARL0S = ("500", "1000", "2000", "5000")


@click.command(short_help="Run a night, and fail only for confirmed changes.")
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[=NIGHT]", help="Go on with a stopped night.")
@click.option(
    "--arl0", type=click.Choice(ARL0S), default="1000", show_default=True, help="Nights to a false suspicion."
)
@click.option("--pairs", type=click.IntRange(2, 500), default=10, show_default=True, help="Pairs of a confirmation.")
@click.option("--most-pairs", type=click.IntRange(2, 500), default=20, show_default=True, help="Pairs when undecided.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write the JUnit XML here too.")
@click.option("--summary", type=click.Path(path_type=Path), help="Write the Markdown here too; it is appended.")
@click.option("--fail-on-undecided", is_flag=True, help="Exit with 15 when a suspicion stays undecided.")
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
    **given: object,
) -> int:
    """Run a night of SPEC, a TOML file with the options of run; the profile is standard unless it says another.

    Every series is screened against its history; what is suspected is confirmed side by side with the last good
    artifact on the same device. Only a confirmed regression fails the job.
    """
    from harness.cli.night_files import copy_files, night_code
    from harness.workflows.nightly.night import nightly as run_night
    from harness.workflows.nightly.night import resume_night

    tools = _tools(results, given)
    if resume is not None:
        if spec is not None:
            msg = f"--resume goes on with a night as it was asked for; write --resume={spec}"
            raise click.UsageError(msg)
        record = resume_night(resume, tools)
    elif spec is None:
        msg = "say which SPEC, a TOML file; or --resume to go on with a stopped night"
        raise click.UsageError(msg)
    else:
        record = run_night(_spec(spec), tools, arl0=int(str(given["arl0"])))
    copy_files(record, junit_path=junit, summary_path=summary)
    _show(record, results, as_json=as_json)
    return night_code(record, fail_on_undecided=fail_on_undecided)


def _tools(results: Path, given: dict[str, object]) -> NightTools:
    from harness.workflows.ab.session import PairPlan
    from harness.workflows.nightly.night import NightTools

    cache_dir, history = given["cache_dir"], given["history"]
    pairs, most = int(str(given["pairs"])), int(str(given["most_pairs"]))
    return NightTools(
        places=places(results, cache_dir if isinstance(cache_dir, Path) else None),
        history=history_place(None if history is None else str(history), results),
        progress=make_progress(),
        plan=PairPlan(pairs=pairs, most_pairs=max(pairs, most)),
    )


def _spec(path: Path) -> Spec:
    from harness.spec.profiles import ProfileName
    from harness.spec.read import make_spec, read_spec

    values = read_spec(path)
    return make_spec({"profile": ProfileName.STANDARD.value, **values}, where=str(path))


def _show(record: NightRecord, results: Path, *, as_json: bool) -> None:
    import msgspec

    from harness.workflows.nightly.files import MARKDOWN_FILE, describe, show_value
    from harness.workflows.nightly.record import FOLDER

    folder = results / FOLDER / record.id
    if as_json:
        print_json(msgspec.to_builtins(record) | {"folder": str(folder)})
        return
    rows = [
        (n.state.value, n.series, show_value(n.value, n.metric), show_value(n.level, n.metric), describe(n))
        for n in record.series or ()
    ]
    print_table(("state", "series", "tonight", "level before", ""), rows)
    click.echo(f"\nnight {record.id}: {folder / MARKDOWN_FILE}")
