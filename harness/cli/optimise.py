"""``phonebench sensitivity`` and ``phonebench search``: which layers mind int8, and what to ship."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import cache_folder, json_option, model_options, places_options


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
    from harness.artifacts.sensitivity import scan_model
    from harness.model import ModelOptions, resolve
    from harness.report.files import write_scan
    from harness.report.sensitivity import TITLES, scan_json, summary, table_rows

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
