"""``phonebench ab``: two sides in interleaved pairs, in one session on one device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.compare import margin_option, undecided_option
from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import TableOption, json_option, listed, places, places_options, together

if TYPE_CHECKING:
    from harness.workflows.ab.chain import ABRequest

_common_options = together(
    click.option(
        "-t",
        "--threads",
        type=click.IntRange(1, 256),
        metavar="N",
        default=1,
        show_default=True,
        help="Threads of both sides.",
    ),
    click.option("--delegate", metavar="NAME", help="Delegate of both sides.  [default: the usual one of each format]"),
    click.option("--timeout", type=float, metavar="SECONDS", help="Time limit of one block."),
    click.option(
        "--data",
        metavar="SOURCE",
        help="Data for models without a card: an image folder, an .npz file or module:function.",
    ),
    listed("--input", help="Inputs of models that do not declare them, as NAME:DTYPE:1x3x224x224."),
    click.option("--random-weights", is_flag=True, help="Leave the weights random: real speed, no accuracy."),
    click.option("--seed", type=int, metavar="N", default=0, show_default=True, help="Seed of the order within pairs."),
)


@click.command(short_help="Compare two variants or files in interleaved pairs on one device.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "-d", "--device", cls=TableOption, metavar="KEY", default="host", show_default=True, help="Where to run: {keys}."
)
@click.option(
    "--pairs", type=click.IntRange(2, 1000), metavar="N", default=10, show_default=True, help="Pairs to measure first."
)
@click.option(
    "--most-pairs",
    type=click.IntRange(2, 1000),
    metavar="N",
    default=20,
    show_default=True,
    help="Most pairs, while undecided.",
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
    from harness.workflows.ab.chain import run_ab
    from harness.workflows.ab.words import COLUMNS, ab_json, pair_rows, sentences
    from harness.workflows.durations import pairs_estimate

    request = _request(a, b, device, options)
    click.echo(pairs_estimate(request.plan.pairs, request.plan.most_pairs), err=True)
    run, record = run_ab(request, places(results, cache_dir), make_progress())
    written = write_report(run)
    if as_json:
        print_json(ab_json(record, run.head.id))
    else:
        print_table(COLUMNS, pair_rows(record.session) if record.session else [])
        click.echo("\n" + "\n".join(sentences(record)) + f"\nreport: {written.html}")
    verdict = record.session.verdict if record.session else Verdict.UNDECIDED
    return verdict_code(verdict, fail_on_undecided=fail_on_undecided)


def _request(a: str, b: str, device: str, options: dict[str, Any]) -> ABRequest:
    from harness.spec.read import make_spec
    from harness.workflows.ab.chain import ABRequest
    from harness.workflows.ab.session import PairPlan

    # More first pairs than --most-pairs raise the limit instead of failing.
    pairs, most = options["pairs"], max(options["pairs"], options["most_pairs"])
    values = {key: options[key] for key in ("threads", "timeout", "data", "seed", "random_weights")}
    values |= {"delegate": [options["delegate"]]} if options["delegate"] else {}
    values["input"] = [item for part in options["input"] for item in part]
    plan = PairPlan(pairs=pairs, most_pairs=most, margin=options["margin"] / 100, seed=options["seed"])
    return ABRequest(a=a, b=b, device=device, plan=plan, common=make_spec(values))
