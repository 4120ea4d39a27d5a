"""``phonebench ab``: two sides in interleaved pairs, in one session on one device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.lent import lent
from harness.cli.options import (
    TableOption,
    farm_places,
    json_option,
    lender_of,
    margin_option,
    model_options,
    one_device_farm_options,
    pair_plan,
    pairs_options,
    places_options,
    spec_from,
    undecided_option,
)

if TYPE_CHECKING:
    from harness.workflows.ab.chain import ABRequest


@click.command(short_help="Compare two variants or files on one device, in pairs.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "-d", "--device", cls=TableOption, metavar="KEY", default="host", show_default=True, help="Where to run: {keys}."
)
@one_device_farm_options
@pairs_options
@margin_option
@click.option(
    "-t",
    "--threads",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    show_default=True,
    help="Threads of both sides.",
)
@click.option("--delegate", metavar="NAME", help="Delegate of both sides.  [default: the usual one of each format]")
@click.option(
    "--prompt",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens in the prompt of a language model.  [default: 128]",
)
@click.option(
    "--new-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens that a language model generates.  [default: 64]",
)
@click.option("--timeout", type=float, metavar="SECONDS", help="Time limit of one launch.")
@model_options
@undecided_option
@places_options
@json_option
def ab(
    a: str,
    b: str,
    device: str,
    *,
    as_json: bool,
    fail_on_undecided: bool,
    results: Path,
    cache_dir: Path | None,
    **options: Any,
) -> int:
    """Report whether B is slower or faster than A, from interleaved random pairs in one session.

    A and B are MODEL:VARIANT:FORMAT (digits:int8:tflite) or ready-made files. Append @threads=2 or @delegate=cpu to a
    side for a setting that the other side does not share. Ten pairs take about two minutes on a computer and up to
    five on a phone. Exit code 10: B regressed.
    """
    from harness.cli.exit_codes import verdict_code
    from harness.report.files import write_report
    from harness.stats.verdicts import Verdict
    from harness.store.writer import write_text
    from harness.workflows.ab.chain import run_ab
    from harness.workflows.ab.page import PAGE_FILE, ab_page
    from harness.workflows.ab.words import COLUMNS, ab_json, pair_rows, sentences

    farm = lender_of(options)
    where = farm_places(results, cache_dir, options)
    with lent(farm, (device,)) as devices:
        request = _request(a, b, devices[0], options)
        run, record = run_ab(request, where, make_progress(), say=lambda text: click.echo(text, err=True))
    write_report(run)
    session_page = write_text(run, PAGE_FILE, ab_page(record, run))
    if as_json:
        print_json(ab_json(record, run.head.id))
    else:
        print_table(COLUMNS, pair_rows(record.session) if record.session else [])
        click.echo("\n" + "\n".join(sentences(record)) + f"\nreport: {session_page}")
    verdict = record.session.verdict if record.session else Verdict.UNDECIDED
    return verdict_code(verdict, fail_on_undecided=fail_on_undecided)


def _request(a: str, b: str, device: str, options: dict[str, Any]) -> ABRequest:
    from harness.workflows.ab.chain import ABRequest

    common = spec_from(None, options)
    plan = pair_plan(options["pairs"], options["most_pairs"])
    plan = replace(plan, margin=options["margin"] / 100, seed=common.seed)
    return ABRequest(a=a, b=b, device=device, plan=plan, common=common)
