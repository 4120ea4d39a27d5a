"""``phonebench cache``: shows or empties the artifact cache."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import print_json
from harness.cli.options import cache_option, json_option
from harness.system.paths import cache_folder


@click.command()
@click.option("--clear", is_flag=True, help="Remove all artifacts; the next run rebuilds them.")
@cache_option
@json_option
def cache(clear: bool, cache_dir: Path | None, as_json: bool) -> None:
    """Show how much the artifact cache holds, or empty it."""
    from harness.artifacts.cache import Cache
    from harness.records import units

    store = Cache(cache_folder(cache_dir))
    usage = store.clear() if clear else store.usage()
    if as_json:
        print_json({"path": str(store.root), "entries": usage.entries, "bytes": usage.bytes, "cleared": clear})
        return
    verb = "removed" if clear else "holds"
    click.echo(f"{store.root}: {verb} {usage.entries} entries, {units.size(usage.bytes)}")
