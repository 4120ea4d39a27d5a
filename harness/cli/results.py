"""``phonebench show`` and ``phonebench report``: stored runs; they need neither torch nor a phone."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import print_json, print_run, print_table
from harness.cli.options import json_option, results_option


@click.command(short_help="Show a stored run.")
@click.argument("run", default="latest")
@click.option("--list", "list_all", is_flag=True, help="List the stored runs instead.")
@results_option
@json_option
def show(run: str, list_all: bool, results: Path, as_json: bool) -> None:
    """Show a stored RUN: an id, a unique prefix of an id, a path, or latest."""
    if list_all:
        _show_list(results, as_json=as_json)
        return
    from harness.store.reader import load_run

    record = load_run(results, run)
    if as_json:
        from harness.report.formats.json import show_json

        print_json(show_json(record))
        return
    print_run(record)


def _show_list(results: Path, *, as_json: bool) -> None:
    from harness.report.formats.run_list import TITLES, list_json, list_rows
    from harness.store.listing import listed_runs

    runs = listed_runs(results)
    if as_json:
        print_json(list_json(runs))
    else:
        print_table(TITLES, list_rows(runs))


@click.command(short_help="Write the report of a stored run again.")
@click.argument("run", default="latest")
@results_option
@json_option
def report(run: str, results: Path, as_json: bool) -> None:
    """Write the report of a stored RUN again: report.html, table.csv and charts/ beside its results."""
    from harness.report.files import write_report
    from harness.store.reader import load_run

    written = write_report(load_run(results, run))
    if as_json:
        print_json({"html": str(written.html), "csv": str(written.csv), "charts": [str(p) for p in written.charts]})
        return
    click.echo(f"report: {written.html}\ntable: {written.csv}")
