"""``phonebench run`` and ``phonebench build``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, print_json, print_run, print_table
from harness.cli.options import json_option, places, places_options, spec_from, spec_options

if TYPE_CHECKING:
    from harness.plan.cells import Plan
    from harness.store.records import RunRecord


@click.command(short_help="Build variants, measure each, and say which one to ship.")
@spec_options
@places_options
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[=RUN]", help="Go on with a stopped run.")
@click.option("--dry-run", is_flag=True, help="Print what would be run, and load nothing.")
@json_option
def run(resume: str | None, dry_run: bool, as_json: bool, results: Path, cache_dir: Path | None, **given: Any) -> int:
    """Build variants of MODELs, measure each on a device, and say which one to ship.

    MODEL is a bundled name (see: phonebench models), a folder with model.toml, package.module:factory, a .pt2 or
    TorchScript .pt file, or a ready .tflite, .onnx, .pte or .ptl. Without arguments: the bundled digits model, every
    format and variant, on this computer. Lists are separated by commas, or the option is repeated.
    """
    from harness.workflows.check import check
    from harness.workflows.run import resume_run, run_spec

    where = places(results, cache_dir)
    if resume is not None:
        if given["model"] or given["spec_file"]:
            msg = f"--resume goes on with a stored run as it was asked for; write --resume={given['model'][0]}"
            raise click.UsageError(msg if given["model"] else "--resume takes no --spec: the stored run has its own")
        return _finish(resume_run(resume, where, make_progress()), as_json=as_json)
    spec = spec_from(given.pop("spec_file"), given)
    if dry_run:
        return _print_plan(check(spec).plan, as_json=as_json)
    return _finish(run_spec(spec, where, make_progress()), as_json=as_json)


@click.command(short_help="Make the artifacts without running them.")
@spec_options
@places_options
@json_option
def build(as_json: bool, results: Path, cache_dir: Path | None, **given: Any) -> int:
    """Make the artifacts of MODELs without running them, and say where they are."""
    from harness.cli.artifacts import build_exit_code, build_rows, builds_json
    from harness.workflows.run import build_spec

    spec = spec_from(given.pop("spec_file"), given)
    outcome = build_spec(spec, places(results, cache_dir), make_progress())[1]
    if as_json:
        print_json(builds_json(outcome))
    else:
        print_table(
            ("model", "variant", "format", "backend", "state", "size", "SQNR", "file or reason"), build_rows(outcome)
        )
    return build_exit_code(outcome)


def _finish(record: RunRecord, *, as_json: bool) -> int:
    """Write the report files, show the run, and return the exit code."""
    from harness.cli.exit_codes import exit_code
    from harness.report.files import write_report
    from harness.report.formats.json import show_json

    written = write_report(record)
    if as_json:
        print_json(show_json(record))
        return exit_code(record)
    print_run(record)
    click.echo(f"\nreport: {written.html}")
    return exit_code(record)


def _print_plan(plan: Plan, *, as_json: bool) -> int:
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(plan))
        return 0
    rows = [(cell.key, "will run") for cell in plan.cells] + [(hole.cell.key, hole.reason) for hole in plan.holes]
    print_table(("cell", ""), rows)
    click.echo(f"{len(plan.cells)} cells from {len(plan.builds)} artifacts, {len(plan.holes)} unsupported")
    return 0
