"""``phonebench history``: shows the nights of a series, and fills and exports the database that holds them."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import print_json, print_table
from harness.cli.options import history_option, history_place, json_option, results_option, signature_option
from harness.cli.paths import PATH


class SeriesGroup(click.Group):
    """A group whose first word may be a series instead of a command: ``history NAME`` means ``history show NAME``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; any other word is a series to show."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            return super().resolve_command(ctx, ["show", *args])
        return super().resolve_command(ctx, args)


@click.group(cls=SeriesGroup, short_help="Show how figures changed over the nights, and add runs.")
def history() -> None:
    """Show how figures changed over the nights, and add runs.

    A series is one metric of one cell, night after night; phonebench history list names them all. phonebench history
    SERIES is short for phonebench history show SERIES.
    """


@history.command(short_help="Show one series: a table of its nights, and a chart.")
@click.argument("series")
@click.option(
    "--chart",
    type=PATH,
    metavar="FILE",
    help="Where to draw: an .svg or a .png.  [default: history/SERIES.svg in --results]",
)
@click.option(
    "--nights", type=click.IntRange(min=1), metavar="N", default=30, show_default=True, help="Most rows in the table."
)
@history_option
@results_option
@json_option
def show(series: str, chart: Path | None, nights: int, history: str | None, results: Path, as_json: bool) -> None:
    """Show the newest nights of SERIES in a table, and draw all of them with intervals, levels, changes and swaps."""
    from harness.history.database import open_history
    from harness.history.queries import decisions_of, find_series, nights_of
    from harness.history.story import tell
    from harness.report.charts.nights import write_chart
    from harness.report.formats.nights_text import TITLES, night_rows, story_json, summary_lines
    from harness.report.nights_page import story_page
    from harness.store.writer import write_beside

    with open_history(history_place(history, results)) as opened:
        match = find_series(opened, series)
        story = tell(match, nights_of(opened, match.name), decisions_of(opened, match.name))
    name = match.name.replace("/", "-")
    drawn = write_chart(story, chart or results / "history" / f"{name}.svg")
    page = write_beside(drawn.parent, f"{drawn.stem}.html", story_page(story)) if drawn else None
    if as_json:
        print_json(
            story_json(story)
            | {"chart": None if drawn is None else str(drawn), "page": None if page is None else str(page)}
        )
        return
    print_table(TITLES, night_rows(story, last=nights))
    for line in [*summary_lines(story), *([f"chart: {drawn}", f"page: {page}"] if drawn else [])]:
        click.echo(line)


@history.command("list")
@history_option
@results_option
@json_option
def list_(history: str | None, results: Path, as_json: bool) -> None:
    """List the series in the history."""
    import msgspec

    from harness.history.database import open_history
    from harness.history.queries import list_series

    with open_history(history_place(history, results)) as opened:
        every = list_series(opened)
    if as_json:
        print_json([msgspec.to_builtins(series) for series in every])
        return
    print_table(("series", "unit", ""), [(series.name, series.unit, series.polarity) for series in every])


@history.command(short_help="Compare the newest night of every series with earlier ones.")
@click.option(
    "--window",
    type=click.IntRange(min=1),
    metavar="N",
    default=7,
    show_default=True,
    help="How many earlier nights to compare with.",
)
@click.option(
    "--most", type=click.IntRange(min=1), metavar="N", default=40, show_default=True, help="Most rows in the table."
)
@history_option
@results_option
@json_option
def latest(window: int, most: int, history: str | None, results: Path, as_json: bool) -> None:
    """Show the newest night of every series beside the nights before it, the largest differences first.

    This is an overview, not a verdict: a difference between two nights is often noise.
    """
    from harness.history.database import open_history
    from harness.history.queries import latest as newest_night
    from harness.report.formats.nights_text import latest_json, latest_rows

    with open_history(history_place(history, results)) as opened:
        newest = newest_night(opened, window=window)
    if as_json:
        print_json(latest_json(newest))
        return
    rows = latest_rows(newest, most=most) if newest else []
    print_table(("series", "newest", "mean before", "range before", "nights", "change"), rows)


@history.command(short_help="Add a stored run.")
@click.argument("run", default="latest")
@signature_option
@history_option
@results_option
@json_option
def ingest(run: str, require_signature: str | None, history: str | None, results: Path, as_json: bool) -> None:
    """Add a stored RUN to the history; values that are there already stay as they are."""
    from harness.history.database import open_history
    from harness.history.ingest import ingest as add_run
    from harness.store.signed import load_signed_run

    record = load_signed_run(results, run, require_signature)
    with open_history(history_place(history, results), create=True) as opened:
        result = add_run(opened, record)
    if as_json:
        print_json({"run": record.head.id, "history": opened.where, "added": result.added, "known": result.known})
        return
    click.echo(f"{record.head.id}: {result.added} values added, {result.known} were there already ({opened.where})")


@history.command(short_help="Write the whole history as one Parquet file.")
@click.option("--parquet", type=PATH, metavar="FILE", required=True, help="The file to write.")
@history_option
@results_option
@json_option
def export(parquet: Path, history: str | None, results: Path, as_json: bool) -> None:
    """Write the whole history as one Parquet file, ordered by series and time."""
    from harness.history.database import open_history
    from harness.history.export import export_parquet

    with open_history(history_place(history, results)) as opened:
        rows = export_parquet(opened, parquet)
    if as_json:
        print_json({"parquet": str(parquet), "rows": rows})
        return
    click.echo(f"{parquet}: {rows} rows")
