"""A chart before it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A chart that is drawn only if there is room for it. ``draw`` returns None if there is nothing to show."""

    name: str
    heading: str
    caption: str
    draw: Callable[[], Figure | None]
    folded: bool = False
