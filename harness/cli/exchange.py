"""``phonebench import``: results of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import print_json, print_run, print_table
from harness.cli.options import json_option, results_option
from harness.cli.paths import PATH


@click.command("import", short_help="Read result files of other programs.")
@click.argument("files", nargs=-1, type=PATH, metavar="FILE…")
@click.option("--from", "kind", metavar="NAME", help="The format of the files.  [default: found by their content]")
@click.option("--list", "list_all", is_flag=True, help="List the formats instead.")
@results_option
@json_option
def import_(files: tuple[Path, ...], kind: str | None, list_all: bool, results: Path, as_json: bool) -> None:
    """Read result FILEs of other programs, and store their cells as one run.

    Give files of one session together: equal cells become launches of one cell. Import what you want to compare
    separately. What a file does not say is unknown.
    """
    if list_all:
        _list_importers(as_json=as_json)
        return
    if not files:
        msg = "name the files to import, or list the formats: phonebench import --list"
        raise click.UsageError(msg)
    from harness.workflows.import_results import import_results

    imported = import_results(files, results, kind)
    if as_json:
        from harness.report.formats.json import show_json

        print_json(show_json(imported.run))
        return
    print_run(imported.run)
    for note in imported.notes:
        click.echo(f"not used: {note}", err=True)
    click.echo(f"imported as run {imported.run.head.id} in {imported.run.directory}", err=True)


def _list_importers(*, as_json: bool) -> None:
    from harness.exchange.importers.registry import IMPORTERS

    if as_json:
        print_json([{"name": row.name, "title": row.title, "unknown": row.unknown} for row in IMPORTERS.values()])
        return
    rows = [(row.name, row.title, row.unknown) for row in IMPORTERS.values()]
    print_table(("name", "what it is", "what it does not say"), rows)
