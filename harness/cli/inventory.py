"""``phonebench models``, ``formats``, ``devices`` and ``doctor``: what there is, what is missing, and the next step."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import CACHE_HELP, cache_folder, json_option


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the bundled models."""
    import msgspec

    from harness.model import ModelOptions, bundled_models, resolve

    cards = [resolve(name, ModelOptions()) for name in bundled_models()]
    if as_json:
        print_json([msgspec.to_builtins(card, enc_hook=str) for card in cards])
        return
    rows = [
        (
            card.name,
            card.task.value,
            ", ".join(f"{t.name} {t.dtype.value} {'x'.join(map(str, t.shape))}" for t in card.inputs),
            "labelled test data" if card.data and card.data.source else "none of its own: --data",
            card.license,
        )
        for card in cards
    ]
    print_table(("model", "task", "inputs", "data", "license"), rows)


@click.command(short_help="Show what can be built and run here.")
@click.option("--cache-dir", type=click.Path(path_type=Path), envvar="PHONEBENCH_CACHE", help=CACHE_HELP)
@json_option
def formats(cache_dir: Path | None, as_json: bool) -> None:
    """Show what can be built and run here, tried out on a tiny network, with the reason for each hole.

    The first call takes a minute; its answer is kept until a package changes.
    """
    import msgspec

    from harness.artifacts.cache import Cache
    from harness.capability import probe

    found = probe(Cache(cache_folder(cache_dir)), make_progress())
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    rows = [(c.format.value, c.backend or "", c.variant, c.state.value, c.detail) for c in found.variants]
    print_table(("format", "backend", "variant", "build", ""), rows)
    click.echo()
    runs = [(c.format.value, c.delegate.value, c.device, c.state.value, c.detail) for c in found.delegates]
    print_table(("format", "delegate", "device", "run", ""), runs)


@click.command()
@json_option
def devices(as_json: bool) -> None:
    """List the devices that are there now."""
    import msgspec

    from harness.devices import list_devices
    from harness.report import units

    found = list_devices()
    if as_json:
        print_json([msgspec.to_builtins(info) for info in found])
        return
    rows = [(i.key, i.model, i.os, i.cpu, str(i.cores), units.size(i.memory_bytes)) for i in found]
    print_table(("device", "model", "system", "processor", "cores", "memory"), rows)


@click.command(short_help="Say what is missing and how to add it.")
@json_option
def doctor(as_json: bool) -> None:
    """Say what is installed, what is missing, and the one command that adds it."""
    import msgspec

    from harness.doctor import examine

    found = examine()
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    rows = [(c.extra, c.name, c.version or "missing", c.purpose) for c in found.packages]
    print_table(("extra", "package", "version", "for"), rows)
    click.echo(f"\nPython {found.python}, {found.system}, {found.cores} cores")
    click.echo(found.advice)
