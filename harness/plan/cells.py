"""Cells, builds and holes: the records of a plan. `make_cell` is the only place where a key is made."""

from __future__ import annotations

from dataclasses import dataclass

from harness.spec.formats import FORMATS, Backend
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One artifact wanted; ``backend`` is set for ``pte`` alone."""

    model: str
    variant: str
    format: Format
    backend: Backend | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The unit of work, of resume and of comparison; ``key`` is made by `make_cell` and never parsed."""

    key: str
    model: str
    variant: str
    format: Format
    backend: Backend | None
    delegate: Delegate
    threads: int
    device: str
    profile: ProfileName

    @property
    def build(self) -> Build:
        """The artifact that this cell runs."""
        return Build(model=self.model, variant=self.variant, format=self.format, backend=self.backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A cell that cannot be, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All cells of a run in the order they run, and the holes."""

    cells: tuple[Cell, ...]
    holes: tuple[Hole, ...]

    @property
    def builds(self) -> tuple[Build, ...]:
        """Each artifact that the cells need, once, in order."""
        return tuple(dict.fromkeys(cell.build for cell in self.cells))


def make_cell(
    model: str, variant: str, format_: Format, delegate: Delegate, threads: int, device: str, profile: ProfileName
) -> Cell:
    """Build a cell and its key, the only place where a key is made."""
    backend = FORMATS[format_].backends.get(delegate)
    parts = (model, variant, format_.value, delegate.value, f"t{threads}", device.replace(":", "-"), profile.value)
    return Cell(
        key="-".join(parts),
        model=model,
        variant=variant,
        format=format_,
        backend=backend,
        delegate=delegate,
        threads=threads,
        device=device,
        profile=profile,
    )
