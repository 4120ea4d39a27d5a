"""``phonebench ab``: two sides in interleaved pairs, in one session on one device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.compare import margin_option, undecided_option
from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import TableOption, json_option, listed, places, places_options, together

_common_options = together(
    click.option(
        "-t", "--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads, both sides."
    ),
    click.option("--delegate", help="What both sides run on.  [default: each format's usual one]"),
    click.option("--timeout", type=float, metavar="SECONDS", help="The longest that one block may take."),
    click.option("--data", help="Data for models without a card: an image folder or an .npz."),
    listed("--input", help="Inputs of models that do not tell them, as NAME:DTYPE:1x3x224x224."),
    click.option("--random-weights", is_flag=True, help="Leave weights untrained: speed, no accuracy."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order within the pairs."),
)


@click.command(short_help="Compare two variants or files in interleaved pairs on one device.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("-d", "--device", cls=TableOption, default="host", show_default=True, help="Where to run: {keys}.")
@click.option("--pairs", type=click.IntRange(2, 1000), default=10, show_default=True, help="Pairs at first.")
@click.option(
    "--most-pairs", type=click.IntRange(2, 1000), default=20, show_default=True, help="Pairs at most, when undecided."
)
@margin_option
@_common_options
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
    **given: Any,
) -> int:
    """Say whether B is slower or faster than A: interleaved random pairs in one session.

    A and B are MODEL:VARIANT:FORMAT (digits:int8:tflite) or ready files, each with @threads=2 or @delegate=cpu
    behind it where a setting is not common to both. Exit code 10: B regressed.
    """
    from harness.cli.exit_codes import verdict_code
    from harness.report.files import write_report
    from harness.stats.verdicts import Verdict
    from harness.workflows.ab.chain import run_ab
    from harness.workflows.ab.words import COLUMNS, ab_json, pair_rows, sentences

    run, record = run_ab(_request(a, b, device, given), places(results, cache_dir), make_progress())
    written = write_report(run)
    if as_json:
        print_json(ab_json(record, run.head.id))
    else:
        print_table(COLUMNS, pair_rows(record.session) if record.session else [])
        click.echo("\n" + "\n".join(sentences(record)) + f"\nreport: {written.html}")
    verdict = record.session.verdict if record.session else Verdict.UNDECIDED
    return verdict_code(verdict, fail_on_undecided=fail_on_undecided)


def _request(a: str, b: str, device: str, given: dict[str, Any]) -> Any:
    from harness.spec.read import make_spec
    from harness.workflows.ab.chain import ABRequest
    from harness.workflows.ab.session import PairPlan

    pairs, most = given["pairs"], max(given["pairs"], given["most_pairs"])
    values = {key: given[key] for key in ("threads", "timeout", "data", "seed", "random_weights")}
    values |= {"delegate": [given["delegate"]]} if given["delegate"] else {}
    values["input"] = [item for part in given["input"] for item in part]
    plan = PairPlan(pairs=pairs, most_pairs=most, margin=given["margin"] / 100, seed=given["seed"])
    return ABRequest(a=a, b=b, device=device, plan=plan, common=make_spec(values))
