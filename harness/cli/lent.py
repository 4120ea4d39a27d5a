"""``--farm``: phones that a farm lends for the time of a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.workflows.bench import Places

farm_option = click.option("--farm", metavar="URL", help="Borrow the phones of a farm: stf://HOST.")


@contextmanager
def lent(farm: str | None, keys: Sequence[str], *, strict: bool = True) -> Iterator[tuple[str, ...]]:
    """Yield the device keys, with the phones of ``farm`` borrowed as long as the block lasts; None borrows none."""
    if farm is None:
        yield tuple(keys)
        return
    from harness.leases.hold import borrowed, open_farm

    with borrowed(open_farm(farm), keys, strict=strict) as devices:
        yield devices


def with_farm(where: Places, farm: str | None) -> Places:
    """Return ``where`` with the option that borrows the same phones when a run is resumed."""
    return where if farm is None else replace(where, options=(*where.options, "--farm", farm))
