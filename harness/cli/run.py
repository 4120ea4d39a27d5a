"""``phonebench run`` and ``phonebench build``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, open_file, print_json, print_run, print_table
from harness.cli.lent import lent
from harness.cli.options import (
    farm_options,
    farm_places,
    json_option,
    lender_of,
    places,
    places_options,
    spec_from,
    spec_options,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.store.records import RunRecord
    from harness.workflows.check import Checked


@click.command(short_help="Build variants, measure each, and say which one to ship.")
@spec_options
@places_options
@farm_options
# is_flag=False with a flag_value makes the value of the option optional.
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[=RUN]", help="Continue a stopped run.")
@click.option("--dry-run", is_flag=True, help="Print the cells and about how long they take, and load nothing.")
@click.option("--open", "open_it", is_flag=True, help="Open the report when the run has ended.")
@json_option
def run(
    resume: str | None,
    dry_run: bool,
    open_it: bool,
    as_json: bool,
    results: Path,
    cache_dir: Path | None,
    **options: Any,
) -> int:
    """Build variants of each MODEL, measure them on a device, and say which one to ship.

    MODEL is a bundled name (see: phonebench models), a folder with model.toml, package.module:factory, a .pt2 or
    TorchScript .pt file, or a ready-made .tflite, .onnx, .pte or .ptl file. Without arguments: the bundled digits
    model in every format and default variant, on this computer. Separate the items of a list by commas, or repeat the
    option.

    Each combination of model, variant, format, delegate, thread count and device is a cell. It is measured in one or
    more launches: fresh processes that load the file and run it.
    """
    from harness.workflows.check import check
    from harness.workflows.farmed import expander
    from harness.workflows.run import resume_run, run_spec

    farm = lender_of(options)
    where = farm_places(results, cache_dir, options)
    if resume is not None:
        _refuse_spec(resume, options, results)
        with lent(farm, _stored_devices(results, resume) if farm else ()):
            record = resume_run(resume, where, make_progress(), require_signature=options["require_signature"])
            return _finish(record, as_json=as_json, open_it=open_it)
    spec = spec_from(options.pop("spec_file"), options)
    if dry_run:
        return _print_plan(check(spec, expand=expander(where)), as_json=as_json)
    with lent(farm, spec.device) as devices:
        record = run_spec(replace(spec, device=devices), where, make_progress())
    return _finish(record, as_json=as_json, open_it=open_it)


def _stored_devices(results: Path, run_id: str) -> tuple[str, ...]:
    from harness.store.reader import load_run

    return load_run(results, run_id).head.spec.device


def _refuse_spec(resume: str, options: dict[str, Any], results: Path) -> None:
    """Raise a usage error for a model or spec file beside ``--resume``: a stored run has its own."""
    from harness.store.reader import list_runs

    models = options["model"]
    if not models and not options["spec_file"]:
        return
    # RUN may have been written as an argument, before the option.
    run_id = models[0] if models and models[0] in list_runs(results) else None if resume == "latest" else resume
    command = "phonebench run --resume" + (f"={run_id}" if run_id else "")
    what = f"MODEL {models[0]!r}" if models else "--spec"
    msg = f"--resume continues a stored run, which has its own spec: leave out {what} and write: {command}"
    raise UsageError(msg)


@click.command(short_help="Build the artifacts without running them.")
@spec_options
@places_options
@json_option
def build(as_json: bool, results: Path, cache_dir: Path | None, **options: Any) -> int:
    """Build the artifacts of each MODEL without running them, and print where they are.

    It takes the options of run, so that you can change run to build in a command line and keep the rest.
    """
    from harness.artifacts.build import stored_outcome
    from harness.cli.artifacts import COLUMNS, build_exit_code, build_rows, builds_json
    from harness.workflows.run import build_spec

    spec = spec_from(options.pop("spec_file"), options)
    where = places(results, cache_dir)
    outcome = stored_outcome(build_spec(spec, where, make_progress())[1], where.cache)
    if as_json:
        print_json(builds_json(outcome))
    else:
        print_table(COLUMNS, build_rows(outcome))
    return build_exit_code(outcome)


def _finish(record: RunRecord, *, as_json: bool, open_it: bool) -> int:
    """Write the report files, show the run, and return the exit code."""
    from harness.cli.exit_codes import exit_code
    from harness.report.files import write_report
    from harness.report.formats.json import show_json

    written = write_report(record)
    if open_it:
        open_file(written.html)
    if as_json:
        print_json(show_json(record))
        return exit_code(record)
    print_run(record)
    click.echo(f"\nreport: {written.html}")
    return exit_code(record)


def _print_plan(checked: Checked, *, as_json: bool) -> int:
    plan = checked.plan
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(plan))
        return 0
    from harness.workflows.durations import run_estimate

    rows = [(cell.key, "will run") for cell in plan.cells] + [(hole.cell.key, hole.reason) for hole in plan.holes]
    print_table(("cell", "plan"), rows)
    click.echo(f"cells: {len(plan.cells)}, artifacts: {len(plan.builds)}, unsupported: {len(plan.holes)}")
    click.echo(run_estimate(plan, launches=checked.spec.launches))
    return 0
