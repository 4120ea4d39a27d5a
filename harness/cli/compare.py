"""``phonebench compare``: two stored runs, cell by cell; needs neither torch nor a phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import print_json, print_table
from harness.cli.options import json_option, margin_option, results_option, signature_option, undecided_option
from harness.cli.paths import PATH

if TYPE_CHECKING:
    from harness.compare.runs import Comparison


@click.command(short_help="Compare two stored runs, cell by cell.")
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
@margin_option
@click.option(
    "--accuracy-margin",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="POINTS",
    default=1.0,
    show_default=True,
    help="The smallest loss of accuracy that matters, in percentage points.",
)
@click.option(
    "--across-units",
    is_flag=True,
    help="Also compare cells that ran on two units of one phone model, such as two Pixel 8.",
)
@click.option("--html", is_flag=True, help="Also write a page with the two runs side by side.")
@click.option("--markdown", type=PATH, metavar="FILE", help="Also write the verdicts for a comment, as Markdown.")
@click.option("--junit", type=PATH, metavar="FILE", help="Also write the verdicts as JUnit XML.")
@undecided_option
@signature_option
@results_option
@json_option
def compare(
    run_a: str,
    run_b: str,
    margin: float,
    accuracy_margin: float,
    *,
    across_units: bool,
    html: bool,
    markdown: Path | None,
    junit: Path | None,
    fail_on_undecided: bool,
    require_signature: str | None,
    results: Path,
    as_json: bool,
) -> int:
    """Report for each cell whether RUN_B regressed, improved or is equivalent to RUN_A, or that it is undecided.

    A run is an id, a unique prefix of an id, a path, or latest. Exit code 10: a cell regressed.
    """
    from harness.cli.exit_codes import verdict_code
    from harness.compare.runs import compare_runs
    from harness.compare.words import COLUMNS, comparison_json, comparison_rows
    from harness.records.metrics import ACCURACY, LATENCY
    from harness.store.signed import load_signed_run

    margins = {LATENCY.name: margin / 100, ACCURACY.name: accuracy_margin / 100}
    run_1, run_2 = (load_signed_run(results, name, require_signature) for name in (run_a, run_b))
    runs = run_1, run_2
    comparison = compare_runs(*runs, margins, across_units=across_units)
    if as_json:
        print_json(comparison_json(comparison))
    else:
        print_table(COLUMNS, comparison_rows(comparison))
        for note in comparison.notes:
            click.echo(f"\nNote: {note}.")
        click.echo(f"\n{comparison.run_b} against {comparison.run_a}: {comparison.verdict.value}")
        click.echo(_advice(comparison))
    if html:
        from harness.report.formats.compared import compared_page
        from harness.store.writer import write_beside

        name = f"compare-{comparison.run_a}-{comparison.run_b}.html"
        page = write_beside(results, name, compared_page(runs, [comparison]))
        click.echo(f"report: {page}", err=as_json)
    _write_files(comparison, markdown, junit)
    return verdict_code(comparison.verdict, fail_on_undecided=fail_on_undecided)


def _write_files(comparison: Comparison, markdown: Path | None, junit: Path | None) -> None:
    from harness.report.formats.compared_files import comparison_junit, comparison_markdown
    from harness.store.writer import write_data

    if markdown is not None:
        write_data(markdown.parent, markdown.name, comparison_markdown(comparison).encode())
    if junit is not None:
        write_data(junit.parent, junit.name, comparison_junit(comparison))


def _advice(comparison: Comparison) -> str:
    """What the verdict does not say by itself."""
    from harness.stats.verdicts import Verdict

    if comparison.verdict is Verdict.NOT_COMPARABLE:
        return (
            "No cell could be compared: both runs need a cell with figures for the same model, variant, format, "
            "device, delegate and settings."
        )
    if comparison.run_a == comparison.run_b:
        return "This is a run beside itself. To list the others: phonebench show --list"
    return (
        "The two runs are separate sessions, so the change includes what differs between sessions. "
        "To rule that out, use: phonebench ab"
    )
