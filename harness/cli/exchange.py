"""``phonebench export`` and ``phonebench import``: results in the formats of other programs."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from harness.cli.console import print_json, print_run, print_table
from harness.cli.options import json_option, results_option, signature_option
from harness.cli.paths import PATH
from harness.errors import UsageError


@click.command(short_help="Write a stored run in the format of another program.")
@click.argument("run", default="latest")
@click.option("--to", "name", metavar="NAME", help="The format; see --list.")
@click.option("-o", "--output", type=PATH, metavar="PATH", help="Where to write: a file, or a folder for several.")
@click.option("--cell", "cells", metavar="TEXT", default="", help="Only the cells with this text in their key.")
@click.option("--list", "list_all", is_flag=True, help="List the formats instead.")
@signature_option
@results_option
@json_option
def export(
    run: str,
    name: str | None,
    output: Path | None,
    *,
    cells: str,
    list_all: bool,
    require_signature: str | None,
    results: Path,
    as_json: bool,
) -> None:
    """Write a stored RUN in the format of another program.

    RUN is an id, a unique prefix of an id, a path, or latest, which is the default.
    """
    if list_all:
        _list_exporters(as_json=as_json)
        return
    if name is None:
        msg = "name the format with --to and the place with --output; list the formats: phonebench export --list"
        raise UsageError(msg)
    from harness.exchange.exporters.registry import exporter_named

    exporter_named(name)
    if output is None:
        msg = f"name the place with --output, such as: phonebench export {shlex.quote(run)} --to {name} --output PATH"
        raise UsageError(msg)
    from harness.store.signed import load_signed_run
    from harness.workflows.export_results import export_results

    exported = export_results(load_signed_run(results, run, require_signature), name, output, cells=cells)
    if as_json:
        files = [str(path) for path in exported.files]
        print_json({"files": files, "loses": list(exported.loses), "left_out": list(exported.left_out)})
        return
    click.echo(str(exported.files[0]) if len(exported.files) == 1 else f"{len(exported.files)} files in {output}")
    click.echo(f"not in it: {', '.join(exported.loses)}", err=True)
    if exported.left_out:
        click.echo(f"cells left out: {', '.join(exported.left_out)}", err=True)


def _list_exporters(*, as_json: bool) -> None:
    from harness.exchange.exporters.registry import EXPORTERS

    if as_json:
        rows = EXPORTERS.values()
        print_json([{"name": r.name, "title": r.title, "fields": r.fields, "loses": list(r.loses)} for r in rows])
        return
    table = [(row.name, row.title, ", ".join(row.loses)) for row in EXPORTERS.values()]
    print_table(("name", "what it is", "what it loses"), table)


@click.command("import", short_help="Read result files of other programs.")
@click.argument("files", nargs=-1, type=PATH, metavar="RESULT…")
@click.option("--from", "kind", metavar="NAME", help="The format of the files.  [default: found by their content]")
@click.option("--list", "list_all", is_flag=True, help="List the formats instead.")
@signature_option
@results_option
@json_option
def import_(
    files: tuple[Path, ...],
    kind: str | None,
    *,
    list_all: bool,
    require_signature: str | None,
    results: Path,
    as_json: bool,
) -> None:
    """Read RESULT files of other programs, and store their cells as one run.

    Give files of one session together: equal cells become launches of one cell. Import what you want to compare
    separately. What a file does not say is stored as unknown.
    """
    if list_all:
        _list_importers(as_json=as_json)
        return
    if not files:
        msg = "name the files to import, or list the formats: phonebench import --list"
        raise UsageError(msg)
    from harness.workflows.import_results import import_results

    if require_signature is not None:
        from harness.signing.require import require_signatures

        require_signatures(files, Path(require_signature).expanduser())
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
        rows = IMPORTERS.values()
        print_json([{"name": r.name, "title": r.title, "fields": r.fields, "unknown": r.unknown} for r in rows])
        return
    table = [(row.name, row.title, row.unknown) for row in IMPORTERS.values()]
    print_table(("name", "what it is", "what it does not say"), table)
