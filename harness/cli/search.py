"""``phonebench sensitivity`` and ``phonebench search``: which layers mind int8, and what to ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import (
    cache_folder,
    json_option,
    measuring_options,
    model_options,
    places,
    places_options,
    spec_from,
)
from harness.errors import BuildError

if TYPE_CHECKING:
    from harness.workflows.search import Searched


@click.command(short_help="Rank the layers of a model by what int8 costs each.")
@click.argument("model")
@click.option("--inputs", type=int, default=10, show_default=True, help="How many calibration inputs to look at.")
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
    **given: tuple[list[str], ...],
) -> None:
    """Rank the layers of MODEL by what int8 costs each, one layer at a time, and draw it."""
    from harness.artifacts.cache import Cache
    from harness.artifacts.sensitivity.scan_model import scan_model
    from harness.model.card import ModelOptions
    from harness.model.resolve import resolve
    from harness.report.charts.sensitivity import TITLES, scan_json, summary, table_rows
    from harness.report.files import write_scan

    named = tuple(item for part in given["input"] for item in part)
    options = ModelOptions(random_weights=bool(random_weights), inputs=named, data=data, seed=seed or 0)
    scan = scan_model(resolve(model, options), Cache(cache_folder(cache_dir)), make_progress(), inputs=inputs)
    written = write_scan(results, scan)
    if as_json:
        print_json(scan_json(scan) | {"chart": str(written[0])})
        return
    click.echo(summary(scan))
    print_table(TITLES, table_rows(scan))
    click.echo(f"\nchart: {written[0]}\nfigures: {written[1]}")


@click.command(short_help="Find the recipe to ship, by building and measuring.")
@click.argument("model", nargs=-1)
@click.option("--max-drop", metavar="POINTS", help="The most that may be lost, in percentage points.  [default: 1pp]")
@click.option("--minimise", help="What is to become least: latency or size.  [default: latency]")
@click.option("--budget", type=int, help="The most artifacts that may be built.  [default: 40]")
@click.option("--seconds", type=float, help="Wall time after which nothing more is begun.  [default: 240]")
@measuring_options
@model_options
@places_options
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[=RUN]", help="Go on with a stopped search.")
@json_option
def search(
    max_drop: str | None,
    minimise: str | None,
    budget: int | None,
    seconds: float | None,
    resume: str | None,
    results: Path,
    cache_dir: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Find the recipe of MODEL to ship: the smallest or fastest that keeps the accuracy.

    Walks precisions, sets of layers kept in float, and pruning ratios; measures every point on the device, keeps them
    all as a run, and writes the best as ship.toml, which phonebench run --spec takes.
    """
    from harness.cli.goals import changed_goal, make_goal
    from harness.spec.formats import searched_formats
    from harness.workflows.search import resume_search, run_search

    where = places(results, cache_dir)
    if resume is not None:
        if given["model"] or max_drop or minimise:
            msg = "--resume goes on with a stored search as it was asked for: only --budget and --seconds may change"
            raise click.UsageError(msg)
        found = resume_search(resume, where, make_progress(), changed_goal(budget, seconds))
        return _finish(found, as_json=as_json)
    if len(given["model"]) != 1:
        msg = f"give one MODEL, not {len(given['model'])}: a search is of one"
        raise click.UsageError(msg)
    goal = make_goal(max_drop=max_drop, minimise=minimise, budget=budget, seconds=seconds)
    spec = spec_from(None, {"format": list(searched_formats())} | _given(given))
    return _finish(run_search(spec, goal, where, make_progress()), as_json=as_json)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, ())}


def _finish(found: Searched, *, as_json: bool) -> int:
    """Write the report files, say what to ship, and return the exit code."""
    from harness.cli.exit_codes import exit_code
    from harness.report.files import write_report
    from harness.report.sections.search import TITLES, front_rows, headline, notes, search_json
    from harness.search.ship import SHIP_FILE

    written = write_report(found.run)
    ship = None if found.spec_text is None else str(found.run.directory / SHIP_FILE)
    if as_json:
        print_json(search_json(found.run, found.found, ended=found.ended, spec_file=ship))
        return 0 if ship else exit_code(found.run) or BuildError.exit_code
    click.echo(f"Run {found.run.head.id}: {len(found.found.points)} points; {found.ended}.\n\nThe front:")
    print_table(TITLES, front_rows(found.found))
    click.echo(f"\n{headline(found.found)}")
    for note in notes(found.found):
        click.echo(f"  {note}")
    click.echo(f"\nreport: {written.html}")
    if ship is not None:
        click.echo(f"spec: {ship}\nmake it again with: phonebench run --spec {ship}")
    return 0 if ship else exit_code(found.run) or BuildError.exit_code
