"""``phonebench sensitivity`` and ``phonebench search``: which layers are sensitive to int8, and what to ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import (
    json_option,
    measuring_options,
    model_options,
    places,
    places_options,
    spec_from,
)
from harness.errors import BuildError, UsageError
from harness.system.paths import cache_folder

if TYPE_CHECKING:
    from harness.workflows.search import Searched


@click.command(short_help="Rank the layers of a model by their sensitivity to int8.")
@click.argument("model")
@click.option(
    "--inputs", type=int, metavar="N", default=10, show_default=True, help="How many calibration inputs to use."
)
@model_options
@places_options
@json_option
def sensitivity(
    model: str,
    inputs: int,
    data: str | None,
    random_weights: bool | None,
    seed: int | None,
    results: Path,
    cache_dir: Path | None,
    as_json: bool,
    **more: Any,
) -> None:
    """Rank the layers of MODEL by how much accuracy int8 costs each, one layer at a time, and draw a chart."""
    from harness.artifacts.cache import Cache
    from harness.artifacts.sensitivity.scan_model import scan_model
    from harness.model.card import ModelOptions
    from harness.model.resolve import resolve
    from harness.report.charts.sensitivity import TITLES, scan_json, summary, table_rows
    from harness.report.files import write_scan
    from harness.spec.spec import Spec
    from harness.workflows.signatures import verify_models

    inputs_given = tuple(item for part in more["input"] for item in part)
    options = ModelOptions(random_weights=bool(random_weights), inputs=inputs_given, data=data, seed=seed or 0)
    card = resolve(model, options)
    verify_models((card,), Spec(require_signature=more["require_signature"], sign=more["sign"]))
    scan = scan_model(card, Cache(cache_folder(cache_dir)), make_progress(), inputs=inputs)
    written = write_scan(results, scan)
    if as_json:
        print_json(scan_json(scan) | {"chart": str(written[0])})
        return
    click.echo(summary(scan))
    print_table(TITLES, table_rows(scan))
    click.echo(f"\nchart: {written[0]}\nfigures: {written[1]}")


@click.command(short_help="Find the recipe to ship, by building and measuring.")
# Any number of models is accepted here: none with --resume, and two deserve a better message than click has.
@click.argument("model", nargs=-1, metavar="MODEL")
@click.option("--max-drop", metavar="POINTS", help="Most accuracy to lose, in percentage points.  [default: 1pp]")
@click.option(
    "--max-group-drop", metavar="POINTS", help="Most that any class, or group of the data, may lose.  [default: none]"
)
@click.option("--minimise", metavar="NAME", help="What to minimise: latency or size.  [default: latency]")
@click.option("--budget", type=int, metavar="N", help="Most artifacts to build.  [default: 40]")
@click.option(
    "--seconds", type=float, metavar="SECONDS", help="Wall time after which nothing new is started.  [default: 240]"
)
@measuring_options
@model_options
@places_options
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[=RUN]", help="Continue a stopped search.")
@json_option
def search(
    max_drop: str | None,
    max_group_drop: str | None,
    minimise: str | None,
    budget: int | None,
    seconds: float | None,
    resume: str | None,
    results: Path,
    cache_dir: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Find the recipe of MODEL to ship: the smallest or fastest that keeps the accuracy.

    Tries precisions, sets of layers kept in float, and pruning ratios. Every point is measured on the device and stored
    in one run; the best is written to ship.toml, a spec for phonebench run --spec.
    """
    from harness.cli.goals import changed_goal, make_goal
    from harness.spec.formats import searched_formats
    from harness.workflows.search import resume_search, run_search

    where = places(results, cache_dir)
    if resume is not None:
        if options["model"] or max_drop or max_group_drop or minimise:
            msg = "--resume continues a stored search with its own spec: only --budget and --seconds may change"
            raise UsageError(msg)
        change, key = changed_goal(budget, seconds), options["require_signature"]
        ended = resume_search(resume, where, make_progress(), change, require_signature=key)
        return _finish(ended, as_json=as_json)
    if len(options["model"]) != 1:
        count = len(options["model"])
        advice = "start a search for each" if count else "such as: phonebench search digits"
        msg = f"a search takes one MODEL, not {count}; {advice}"
        raise UsageError(msg)
    goal = make_goal(
        max_drop=max_drop, max_group_drop=max_group_drop, minimise=minimise, budget=budget, seconds=seconds
    )
    spec = spec_from(None, {"format": list(searched_formats())} | _set_options(options))
    return _finish(run_search(spec, goal, where, make_progress()), as_json=as_json)


def _set_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, ())}


def _finish(searched: Searched, *, as_json: bool) -> int:
    """Write the report files, say what to ship, and return the exit code."""
    from harness.cli.exit_codes import exit_code
    from harness.report.files import write_report
    from harness.report.search_words import TITLES, front_rows, headline, notes, search_json
    from harness.search.ship import SHIP_FILE

    written = write_report(searched.run)
    ship = None if searched.spec_text is None else str(searched.run.directory / SHIP_FILE)
    if as_json:
        print_json(search_json(searched.run, searched.findings, ended=searched.ended, spec_file=ship))
        return 0 if ship else exit_code(searched.run) or BuildError.exit_code
    click.echo(f"Run {searched.run.head.id}: {len(searched.findings.points)} points; {searched.ended}.\n\nThe front:")
    print_table(TITLES, front_rows(searched.findings))
    click.echo(f"\n{headline(searched.findings)}")
    for note in notes(searched.findings):
        click.echo(f"  {note}")
    click.echo(f"\nreport: {written.html}")
    if ship is not None:
        click.echo(f"spec: {ship}\nto build and measure it again: phonebench run --spec {ship}")
    return 0 if ship else exit_code(searched.run) or BuildError.exit_code
