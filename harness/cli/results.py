"""``phonebench show`` and ``phonebench report``: stored runs; they need neither torch nor a phone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import open_file, print_json, print_run, print_table
from harness.cli.options import json_option, results_option, signature_option
from harness.cli.paths import PATH
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.store.records import RunRecord


@click.command(short_help="Show a stored run.")
@click.argument("run", default="latest")
@click.option("--list", "list_all", is_flag=True, help="List the stored runs instead.")
@signature_option
@results_option
@json_option
def show(run: str, list_all: bool, require_signature: str | None, results: Path, as_json: bool) -> None:
    """Show a stored RUN: an id, a unique prefix of an id, a path, or latest."""
    if list_all:
        _show_list(results, require_signature, as_json=as_json)
        return
    from harness.store.signed import load_signed_run

    record = load_signed_run(results, run, require_signature)
    if as_json:
        from harness.report.formats.json import show_json

        print_json(show_json(record))
        return
    print_run(record)


def _show_list(results: Path, key_file: str | None, *, as_json: bool) -> None:
    from harness.report.formats.run_list import TITLES, list_json, list_rows
    from harness.store.reader import list_runs
    from harness.store.signed import listed_signed_run

    runs = [listed_signed_run(results / name, key_file) for name in list_runs(results)]
    if as_json:
        print_json(list_json(runs))
    else:
        print_table(TITLES, list_rows(runs))


@click.command(short_help="Write the report of stored runs.")
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@click.option(
    "--to",
    "form",
    metavar="FORM",
    default="html",
    show_default=True,
    help="The form of the report: html, md, csv, png, svg, ipynb, pdf or model-explorer.",
)
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Where to write.  [default: the run's own folder]")
@click.option("--open", "open_it", is_flag=True, help="Open the report.")
@signature_option
@results_option
@json_option
def report(
    runs: tuple[str, ...],
    form: str,
    output: Path | None,
    *,
    open_it: bool,
    require_signature: str | None,
    results: Path,
    as_json: bool,
) -> None:
    """Write the report of a stored RUN again, or of several RUNs side by side, each compared with the first.

    A RUN is an id, a unique prefix of an id, a path, or latest, which is the default.
    """
    from harness.report.outputs import output_named, write_as
    from harness.store.signed import load_signed_run

    output_form = output_named(form)
    if len(runs) > 1:
        if form != "html":
            msg = f"several runs make an html page; --to {form} takes one RUN"
            raise UsageError(msg)
        records = [load_signed_run(results, name, require_signature) for name in runs]
        written: tuple[Path, ...] = (_write_side_by_side(records, output or results),)
    else:
        record = load_signed_run(results, runs[0] if runs else "latest", require_signature)
        written = write_as(output_form, record, output or record.directory)
        if not written:
            name = record.head.id
            problem = f"run {name!r} has no charts, because none of its cells has figures"
            msg = f"{problem}; see: phonebench show {name}"
            raise UsageError(msg)
    if as_json:
        print_json(_paths_json(form, written))
    else:
        for path in written if len(written) <= FEW_FILES else written[:2]:
            click.echo(f"{_KIND.get(path.suffix, 'chart')}: {path}")
        if len(written) > FEW_FILES:
            click.echo(f"{len(written)} files, all below {written[0].parent}")
    if open_it and written:
        open_file(written[0])


FEW_FILES = 3
_KIND = {
    ".html": "report",
    ".csv": "table",
    ".md": "report",
    ".ipynb": "notebook",
    ".pdf": "report",
    ".json": "node data",
}


def _paths_json(form: str, written: Sequence[Path]) -> dict[str, Any]:
    """The paths; those of the page under the names that they have always had."""
    if form != "html" or len(written) < 2:
        return {"files": [str(path) for path in written]}
    html, csv, *charts = written
    return {"html": str(html), "csv": str(csv), "charts": [str(path) for path in charts]}


def _write_side_by_side(records: Sequence[RunRecord], folder: Path) -> Path:
    from harness.report.formats.compared import compared_page
    from harness.store.writer import write_beside
    from harness.system.files import check_writable

    check_writable(folder)
    name = "-".join(["compare", *(record.head.id for record in records)])
    # A file name has at most 255 bytes.
    return write_beside(folder, f"{name[:200]}.html", compared_page(records))
